"""What strangers' estates went through, from raw counters to figures and alerts, over the deployed rules of the shipped catalogs: a
provider that refuses requests, a revoked key behind LiteLLM, tenants that are young, a first Monday."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.resources import resource_folder
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alerting import build_rule_groups
from tiercli.rules.deployment import timing_of
from tiercli.signals.boards import load_boards
from tiercli.signals.expressions import all_read, series_read
from tiercli.signals.rule import RuleGroup, rule_file_content

Series = dict[str, str]
FIRING = 'count by (alertname) (ALERTS{alertstate="firing", source="gateway"})'
OFFER = 'provider="anthropic",model="claude-sonnet-4-6",region="ap-south-1"'
UP = {f'up{{job="tiercli-gateway",instance="{instance}"}}': "1x400" for instance in ("a", "b")}
UP |= {'ai_gateway_up{job="tiercli-gateway",instance="a"}': "1x400"}
LITELLM = (
    'job="tiercli-gateway",instance="a",model_id="gpt-5-mini-eu",requested_model="assistant",team_alias="web-shop"'
)


def answers(
    promtool: Any, folder: Path, loaded: LoadedCatalog, series: Series, asked: list[tuple[str, str, Any]], **test: Any
) -> None:
    """Have promtool ask the deployed rules: (query, when, the value, or the alarms that it counts)."""
    groups = needed_rules(loaded, [expr for expr, _, _ in asked])
    (folder / "rules.yml").write_text(yaml.safe_dump(rule_file_content(groups), sort_keys=False), encoding="utf-8")
    queries = []
    for expr, at, expected in asked:
        samples = [{"labels": "{}", "value": expected}]
        if not isinstance(expected, int | float):
            samples = [{"labels": f'{{alertname="{alarm}"}}', "value": 1} for alarm in expected]
        queries.append({"expr": expr, "eval_time": at, "exp_samples": samples})
    content = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": test.pop("every"),
        "group_eval_order": [group.name for group in groups],
        "tests": [
            {
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": queries,
                **test,
            }
        ],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    code, output = promtool("test", "rules", folder / "test.yml")
    assert code == 0, output


def needed_rules(loaded: LoadedCatalog, queries: list[str]) -> list[RuleGroup]:
    """The deployed rules that `queries` read, directly or through others; every alarm for a query of alerts that names none."""
    timing = timing_of(loaded.catalog)
    groups = build_rule_groups(loaded, timing, load_alarms(loaded, timing))
    rules = [rule for group in groups for rule in group.rules]
    reads: dict[str, set[str]] = {}
    for rule in rules:
        reads.setdefault(rule.name, set()).update(series_read(rule.expr))
    text = " ".join(queries)
    alarms = [rule.name for rule in rules if rule.kind == "alert"]
    asked = {alarm for alarm in alarms if alarm in text} or ({*alarms} if "ALERTS" in text else set())
    names = all_read({*asked, *(name for query in queries for name in series_read(query))}, reads)
    kept = [group._replace(rules=tuple(rule for rule in group.rules if rule.name in names)) for group in groups]
    return [group for group in kept if group.rules]


def gateway(status: str, values: str, code: str = "") -> Series:
    labels = f'job="tiercli-gateway",instance="a",{OFFER}'
    series = {f'ai_gateway_requests_total{{{labels},status="{status}"}}': values}
    return series | ({f'ai_gateway_errors_total{{{labels},code="{code}"}}': values} if code else {})


@pytest.mark.parametrize(
    ("share", "code", "alarms"),
    [
        pytest.param(9, "INVALID_REQUEST", ["ProviderErrorRateHigh"], id="nine in ten are invalid"),
        pytest.param(3, "RATE_LIMITED", ["ProviderErrorRateHigh", "ProviderThrottled"], id="three in ten are throttled"),
        pytest.param(6, "AUTH_FAILED", ["CloudErrorRateHigh", "ProviderErrorRateHigh"], id="the key is refused"),
        pytest.param(10, "MODEL_NOT_FOUND", ["CloudErrorRateHigh", "ProviderDown", "ProviderErrorRateHigh"], id="the model is gone"),
        pytest.param(0, "", [], id="nothing fails"),
    ],
)  # fmt: skip
def test_whatever_the_code_somebody_is_notified_of_a_provider_that_fails(
    promtool: Any, hybrid: LoadedCatalog, tmp_path: Path, share: int, code: str, alarms: list[str]
) -> None:
    series = (
        UP | gateway("success", f"0+{10 - share}x360") | (gateway("failure", f"0+{share}x360", code) if share else {})
    )
    answers(promtool, tmp_path, hybrid, series, [(FIRING, "55m", alarms)], every="10s", interval="10s")


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        pytest.param("401", "Openai.AuthenticationError", "AUTH_FAILED", id="a revoked key"),
        pytest.param("403", "Openai.PermissionDeniedError", "AUTH_FAILED", id="a key without the right"),
        pytest.param("404", "Openai.NotFoundError", "MODEL_NOT_FOUND", id="a retired model"),
        pytest.param("None", "Openai.AuthenticationError", "AUTH_FAILED", id="a class without a status"),
        pytest.param("500", "Openai.APIConnectionError", "CONNECTION_FAILED", id="a class that says more than the status"),
        pytest.param("418", "Openai.TeapotError", "UPSTREAM_UNCLASSIFIED", id="neither is known"),
    ],
)  # fmt: skip
def test_behind_litellm_six_failures_in_ten_are_told_by_their_code(
    promtool: Any, tmp_path: Path, status: str, kind: str, code: str
) -> None:
    loaded = load_catalog(resource_folder("catalogs") / "litellm-vllm.yaml")
    failure = f'{LITELLM},exception_status="{status}",exception_class="{kind}"'
    series = UP | {
        f"litellm_deployment_success_responses_total{{{LITELLM}}}": "0+4x240",
        f"litellm_deployment_failure_responses_total{{{failure}}}": "0+6x240",
    }
    alarms = ["CloudErrorRateHigh", "ProviderErrorRateHigh"]
    alarms += ["UnclassifiedErrors"] if code == "UPSTREAM_UNCLASSIFIED" else []
    asked: list[tuple[str, str, Any]] = [
        (f'round(sum(tier:provider:errors:rate5m{{code="{code}"}}), 0.001)', "55m", 0.4),
        ("round(sum(tier:provider:errors:rate5m), 0.001)", "55m", 0.4),
        (f"{FIRING} # of CloudErrorRateHigh, ProviderErrorRateHigh, UnclassifiedErrors, ProviderDown", "55m", alarms),
    ]
    answers(promtool, tmp_path, loaded, series, asked, every="15s", interval="15s")


@pytest.mark.parametrize(
    ("deployment", "unnamed"), [("gpt-5-mini-eu", 0), ("forgotten", 50)], ids=["named", "not in the catalog"]
)
def test_attempts_that_no_board_can_show_are_counted(
    promtool: Any, tmp_path: Path, deployment: str, unnamed: int
) -> None:
    loaded = load_catalog(resource_folder("catalogs") / "litellm-vllm.yaml")
    labels = LITELLM.replace("gpt-5-mini-eu", deployment)
    series = UP | {
        f"litellm_deployment_success_responses_total{{{LITELLM}}}": "0+3x240",
        f'litellm_deployment_success_responses_total{{{labels},api_provider="openai"}}': "0+1x240",
        f'litellm_deployment_failure_responses_total{{{labels},exception_status="500"}}': "0+1.5x240",
        f"litellm_deployment_failure_responses_total{{{labels.replace(deployment, 'None')}}}": "0+9x240",
    }
    asked: list[tuple[str, str, Any]] = [("round(tier:gateway:unnamed_attempts:increase5m)", "55m", unnamed)]
    answers(promtool, tmp_path, loaded, series, asked, every="15s", interval="15s")


def test_a_tenant_that_began_an_hour_ago_has_an_hours_calls_and_spend(
    promtool: Any, hybrid: LoadedCatalog, tmp_path: Path
) -> None:
    tenant = 'job="tiercli-gateway",instance="a",tenant="acme-corp"'
    series = {
        f'ai_gateway_tenant_requests_total{{{tenant},region="ap-south-1",status="success"}}': "_x1440 0+60x60",
        f'ai_gateway_cost_usd_total{{{tenant},feature="chat",alias="chat"}}': "_x1440 0+1x60",
    }
    boards = load_boards(hybrid.catalog)
    panes = {panel.title: panel.queries[0].expr for panel in boards["tenant"].panels if panel.queries}
    asked = [
        (f"round({panes[title].replace('${tenant}', 'acme-corp')}, 0.01)", "1500m", value)
        for title, value in (("Calls, 24 hours", 3600), ("Spend, 24 hours", 60))
    ]
    (spend,) = [panel.queries[0].expr for panel in boards["cost"].panels if panel.title == "Spend"]
    asked += [(f"round({spend}, 0.01)", "1500m", 60), ("round(sum(tier:tenant:month_spend:usd), 0.01)", "1500m", 60)]
    answers(promtool, tmp_path, hybrid, series, asked, every="1m", interval="1m")


def test_a_tenant_that_began_in_mid_month_is_not_extrapolated_to_the_first(
    promtool: Any, hybrid: LoadedCatalog, tmp_path: Path
) -> None:
    tenant = 'job="tiercli-gateway",instance="a",tenant="internal-tools",feature="research",alias="smart-reasoner"'
    series = {f"ai_gateway_cost_usd_total{{{tenant}}}": "_x4320 0+1x288"}
    # From the 16th on, a dollar every five minutes: what is spent, and as much a day until the month, of India, is over.
    asked: list[tuple[str, str, Any]] = [
        ("round(sum(tier:tenant:month_spend:usd), 5)", "23028m", 285),
        ("round(sum(tier:tenant:month_seen:seconds) / 3600)", "23028m", 24),
        ("round(sum(tier:tenant:month_forecast:usd), 100)", "23028m", 4500),
        ('count(ALERTS{alertname="TenantBudgetForecast"}) or vector(0)', "23028m", 0),
    ]
    answers(promtool, tmp_path, hybrid, series, asked, every="6m", interval="5m")


def test_a_first_monday_is_judged_by_the_budget_and_not_by_its_sunday(
    promtool: Any, hybrid: LoadedCatalog, tmp_path: Path
) -> None:
    tenant = 'job="tiercli-gateway",instance="a",tenant="acme-corp",feature="chat",alias="chat"'
    # Two quiet days at 12 dollars an hour, and a day at 96; its budget allows some hundred an hour.
    series = {f"ai_gateway_cost_usd_total{{{tenant}}}": "0+1x576 584+8x288"}
    asked: list[tuple[str, str, Any]] = [
        ('round(3600 * sum(tier:tenant:cost_usd:rate1h{tenant="acme-corp"}))', "68h", 96),
        ('count(ALERTS{alertname="TenantSpendHigh", tenant="acme-corp"}) or vector(0)', "68h", 0),
    ]
    answers(promtool, tmp_path, hybrid, series, asked, every="4m", interval="5m")


def past_and_now(past: list[int], now: list[int]) -> str:
    """A counter's values: 26 hours of `past`, again and again, and five of `now`; each number is what five minutes add."""
    values, total = [], 0
    for grown in (past * 312)[:312] + (now * 60)[:60]:
        total += grown
        values.append(total)
    return " ".join(map(str, values))


@pytest.mark.parametrize(
    ("unknown", "attempts", "count"),
    [
        pytest.param(([0], [60]), 6000, 1, id="one in a hundred is unknown, of many"),
        pytest.param(([0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 10, 0, id="one unknown failure in an hour of few"),
        pytest.param(([6], [7]), 600, 0, id="one in six more than ever, as chance makes"),
        pytest.param(([6], [12]), 600, 1, id="twice as many as ever"),
    ],
)
def test_what_chance_makes_of_few_calls_is_no_drift(
    promtool: Any,
    hybrid: LoadedCatalog,
    tmp_path: Path,
    unknown: tuple[list[int], list[int]],
    attempts: int,
    count: int,
) -> None:
    labels = f'job="tiercli-gateway",instance="a",{OFFER}'
    series = {
        f'ai_gateway_requests_total{{{labels},status="success"}}': past_and_now([attempts], [attempts]),
        f'ai_gateway_errors_total{{{labels},code="UPSTREAM_UNCLASSIFIED"}}': past_and_now(*unknown),
    }
    asked: list[tuple[str, str, Any]] = [
        ('count(ALERTS{alertname="Drift", alertstate="firing", signal="unclassified rate"}) or vector(0)', "31h", count)
    ]
    answers(promtool, tmp_path, hybrid, series, asked, every="2m", interval="5m")


@pytest.mark.parametrize(("hours", "count"), [(26, 1), (12, 0)])
def test_a_falling_score_drifts_from_what_it_was_for_a_day_at_least(
    promtool: Any, hybrid: LoadedCatalog, tmp_path: Path, hours: int, count: int
) -> None:
    series = {
        'ai_gateway_eval_score{job="tiercli-gateway",instance="a",alias="chat"}': f"0.9x{12 * hours} 0.8x60",
    }
    asked: list[tuple[str, str, Any]] = [
        ('count(ALERTS{alertname="Drift", alertstate="firing"}) or vector(0)', f"{hours + 4}h", count)
    ]
    answers(promtool, tmp_path, hybrid, series, asked, every="2m", interval="5m")
