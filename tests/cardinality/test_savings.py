"""What would help, what if, and what was raised: each figure is what a plan with that change says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import HYBRID, Done
from tiercli.cardinality.plan import Plan, footprint, plan_series
from tiercli.cardinality.savings import FREE_LABELS, PROPOSED_TOP, Savings, kept_buckets
from tiercli.cardinality.what_if import scaled
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog, LabelPolicy, RareTenants
from tiercli.lint.policy_checks import needed_labels
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.signals.contract import CONTRACT, DURATION_BUCKETS, METRICS_BY_NAME, MetricType

Run = Callable[..., Done]


@pytest.fixture(scope="module")
def many(hybrid: LoadedCatalog) -> Catalog:
    """The example with more tenants than keep their names in a proposal."""
    return scaled(hybrid.catalog, {"tenants": 50, "features": 9, "instances": 2})


def series(plan: Plan) -> dict[str, int]:
    return {line.name: line.series for line in plan.lines}


def with_entry(catalog: Catalog, entry: LabelPolicy) -> Catalog:
    return catalog.model_copy(update={"cardinality": catalog.cardinality.model_copy(update={"policy": (entry,)})})


def test_every_saving_is_what_a_policy_saves(many: Catalog) -> None:
    before, savings, compared = plan_series(many), Savings(many), 0
    for line in before.lines:
        for saving in savings.savings(line):
            if saving.kind == "drop label":
                entry = LabelPolicy(metrics=(line.name,), drop=(saving.what,))
                if line.kind == "vendor":
                    continue
            elif saving.kind == "group rare tenants":
                entry = LabelPolicy(metrics=(line.name,), rare_tenants=RareTenants(top=PROPOSED_TOP))
            else:
                continue
            after = series(plan_series(with_entry(many, entry)))
            assert line.series - after[line.name] == saving.saves, (line.name, saving)
            compared += 1
    assert compared >= 40


def test_histograms_get_smaller_by_fewer_buckets_or_native_ones(many: Catalog) -> None:
    line = next(line for line in plan_series(many).lines if line.name == "ai_gateway_request_duration_seconds")
    by_kind = {saving.kind: saving for saving in Savings(many).savings(line)}
    assert line.series == 2 * 4 * (18 + 3)
    assert by_kind["fewer buckets"].saves == 2 * 4 * 3
    kept = kept_buckets(many, METRICS_BY_NAME[line.name])
    assert (kept[0], kept[-1]) == (DURATION_BUCKETS[0], DURATION_BUCKETS[-1])
    # The service level of 5 s, what is usual, and twice that: the bounds that a quantile there lies between.
    for level in (many.service_level.latency_seconds, 0.55, 1.1):
        assert max(one for one in DURATION_BUCKETS if one < level) in kept
        assert min(one for one in DURATION_BUCKETS if one >= level) in kept
    assert len(kept_buckets(many, METRICS_BY_NAME["ai_gateway_response_tokens"])) == 6
    assert by_kind["native histogram"].saves == 2 * 4 * (18 + 2)
    assert not by_kind["native histogram"].possible


def test_the_labels_that_are_free_are_those_that_nothing_needs(hybrid: LoadedCatalog) -> None:
    needs = needed_labels(load_alarm_set(hybrid, timing_of(hybrid.catalog)), hybrid)
    free = {
        (metric.name, label)
        for metric in CONTRACT
        for label in metric.labels
        if metric.type is not MetricType.GAUGE and (metric.name, label) not in needs
    }
    assert free == FREE_LABELS


def test_the_contributor_that_is_named_is_the_one_that_multiplies_most(many: Catalog) -> None:
    line = next(line for line in plan_series(many).lines if line.name == "ai_gateway_tenant_tokens_total")
    assert [(one.label, one.factor) for one in Savings(many).contributors(line)] == [("tenant", 50), ("direction", 4)]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"tenants": 2}, {"ai_gateway_tenant_tokens_total": 8}),
        ({"tenants": 400}, {"ai_gateway_tenant_tokens_total": 1600, "ai_gateway_cost_usd_total": 1900}),
        ({"aliases": 6}, {"ai_gateway_eval_score": 6, "ai_gateway_cache_lookups_total": 24}),
        ({"instances": 5}, {"ai_gateway_up": 5, "tier:tenant:cost_usd:rate5m": 4}),
        # 6 features of the example become 60: 3, 2, 2 and 1 of a tenant become 30, 20, 20 and 10.
        ({"features": 60}, {"tier:feature:cost_usd:rate5m": 80, "ai_gateway_response_tokens": None}),
    ],
)
def test_what_if_there_were_more_or_fewer(
    hybrid: LoadedCatalog, numbers: dict[str, int], expected: dict[str, Any]
) -> None:
    planned = series(plan_series(scaled(hybrid.catalog, numbers)))
    assert {name: planned[name] for name, count in expected.items() if count is not None} == {
        name: count for name, count in expected.items() if count is not None
    }


def test_what_if_it_were_as_it_is(hybrid: LoadedCatalog) -> None:
    same = scaled(hybrid.catalog, {"tenants": 4, "features": 6, "aliases": 3, "instances": 1})
    assert series(plan_series(same)) == series(plan_series(hybrid.catalog))


def test_the_cost_is_of_what_is_scraped_and_what_is_recorded(hybrid: LoadedCatalog) -> None:
    plan = plan_series(hybrid.catalog)
    scraped = sum(line.series for line in plan.lines if line.kind in ("contract", "vendor", "scrape"))
    cost = footprint(plan, "10s", "20s")
    assert (cost.scraped_per_s, cost.recorded_per_s) == (scraped / 10, (plan.series - scraped) / 20)
    assert cost.memory_bytes == 3000 * plan.series


def test_what_is_scraped_and_not_counted_is_said(run_tiercli: Run) -> None:
    done = run_tiercli("budget", str(HYBRID.parent / "starter.yaml"))
    assert "not counted: the own metrics of 1 server of vllm, which has no binding" in done.stdout
    said = json.loads(run_tiercli("budget", str(HYBRID.parent / "litellm-vllm.yaml"), "--format", "json").stdout)
    assert said["not_counted"] == []


def raised(tmp_path: Path, **changes: Any) -> str:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    for metric, budget in changes.items():
        if metric == "total":
            data["cardinality"]["total"] |= budget
        elif budget is None:
            del data["cardinality"]["metrics"][metric]
        else:
            data["cardinality"]["metrics"][metric] |= budget
    path = tmp_path / "new.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({}, 0, None),
        ({"total": {"series": 4000}}, 0, None),
        ({"total": {"series": 6000}}, 1, "all raised from 5,000 to 6,000, without a new reason"),
        (
            {"total": {"series": 6000, "reason": "a third provider"}},
            0,
            "all raised from 5,000 to 6,000: a third provider",
        ),
        (
            {"ai_gateway_cost_usd_total": None},
            1,
            "ai_gateway_cost_usd_total raised from 100 to no budget, without a new reason",
        ),
    ],
)
def test_a_budget_is_not_raised_without_a_new_reason(
    run_tiercli: Run, tmp_path: Path, changes: dict[str, Any], code: int, said: str | None
) -> None:
    done = run_tiercli("budget", raised(tmp_path, **changes), "--against", str(HYBRID))
    assert done.returncode == code, done.stderr
    assert ("raised" in done.stdout) == (said is not None)
    assert said is None or said in done.stdout


def test_what_is_over_is_told_to_github_and_as_sarif(run_tiercli: Run, tmp_path: Path) -> None:
    catalog = raised(tmp_path, total={"series": 300}, ai_gateway_cost_usd_total={"series": 5})
    done = run_tiercli("budget", catalog, "--format", "github")
    assert done.returncode == 1
    lines = Path(catalog).read_text(encoding="utf-8").splitlines()
    for line in done.stdout.splitlines():
        number = int(line.partition("line=")[2].partition(",")[0])
        assert lines[number - 1].strip().startswith(("total:", "ai_gateway_cost_usd_total:"))
    assert len(done.stdout.splitlines()) == 2
    done = run_tiercli("budget", catalog, "--format", "sarif")
    log = json.loads(done.stdout)
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["budget/over", "budget/over"]
    jsonschema.validate(log["version"], {"const": "2.1.0"})


def test_the_arithmetic_of_a_metric_is_explained(run_tiercli: Run) -> None:
    done = run_tiercli("budget", str(HYBRID), "--explain", "ai_gateway_response_tokens")
    assert done.returncode == 0
    assert "15  features by alias (alias, feature)" in done.stdout
    assert "10 buckets + the bucket +Inf + sum + count" in done.stdout
    assert "=          195  series" in done.stdout
    assert "−         156  drop label: feature" in done.stdout
    said = json.loads(
        run_tiercli("budget", str(HYBRID), "--explain", "ai_gateway_errors_total", "--format", "json").stdout
    )
    assert [one["count"] for one in said["factors"]] == [4, 9]
    assert "CloudErrorRateHigh" in next(one for one in said["savings"] if one["what"] == "code")["needed_by"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "tennants=3"), "unknown dimension 'tennants'; did you mean 'tenants'?"),
        (("--set", "tenants=0"), "'tenants=0': '0' is not a valid number"),
        (("--set", "tenants=many"), "'many' is not a valid number"),
        (("--explain", "ai_gateway_cost"), "unknown metric 'ai_gateway_cost'"),
        (("--against", "nothing.yaml"), "nothing.yaml"),
    ],
)
def test_what_cannot_be_asked_is_exit_2(run_tiercli: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run_tiercli("budget", str(HYBRID), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_the_map_of_tenants_is_for_gateways(run_tiercli: Run, tmp_path: Path) -> None:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    data["cardinality"]["policy"] = [
        {"metrics": ["ai_gateway_tenant_requests_total"], "rare_tenants": {"top": 2}},
        {"metrics": ["ai_gateway_response_tokens"], "drop": ["feature"]},
    ]
    path = tmp_path / "grouped.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    expected = {
        "tenants": {"ai_gateway_tenant_requests_total": {"initech-news": "other", "internal-tools": "other"}},
        "dropped_labels": {"ai_gateway_response_tokens": ["feature"]},
    }
    assert json.loads(run_tiercli("budget", "tenant-map", str(path)).stdout) == expected
    assert yaml.safe_load(run_tiercli("budget", "tenant-map", str(path), "--format", "yaml").stdout) == expected
