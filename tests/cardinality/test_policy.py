"""The cardinality policy: what is wrong with one is told, and gateway, exporter, rules and boards obey it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.audit.records import call, write_log
from tests.conftest import HYBRID
from tests.contract_metrics import EVERY_LABEL, ContractMetrics
from tiercli.audit.record import record_decoder
from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.errors import InvalidInput
from tiercli.exporters.audit_exporter import AuditExporter
from tiercli.lint.catalog_checks import further_checks
from tiercli.output.tree import RULES_PATH, render_tree
from tiercli.rules.deployment import Deployment
from tiercli.signals.label_policy import metric_policies, tenant_map

GROUPED = """
  policy:
    - metrics: ["ai_gateway_tenant_*", ai_gateway_quota_bucket_fill_ratio]
      rare_tenants: {keep: [acme-corp], top: 1}
    - metrics: [ai_gateway_response_tokens]
      drop: [feature]
"""


def with_policy(text: str) -> str:
    return HYBRID.read_text(encoding="utf-8").replace("\naudit:", f"{text.rstrip()}\n\naudit:", 1)


def load(text: str) -> LoadedCatalog:
    return parse_catalog(with_policy(text), "catalog.yaml", further_checks())


@pytest.fixture(scope="module")
def grouped() -> LoadedCatalog:
    """acme-corp by name, and the one that spends most, which is acme-corp too; all others become one."""
    return load(GROUPED)


@pytest.mark.parametrize(
    ("entry", "line", "said"),
    [
        ("{metrics: [ai_gateway_cost_usd], drop: [feature]}", 1, "unknown metric 'ai_gateway_cost_usd' in the policy; did you mean"),
        ("{metrics: ['foo_*'], drop: [feature]}", 1, "'foo_*' matches no metric that has such a label"),
        ("{metrics: [ai_gateway_cost_usd_total], drop: [model]}", 1, "unknown label 'model' of these metrics"),
        (
            "{metrics: [ai_gateway_cost_usd_total], drop: [feature]}",
            1,
            "ai_gateway_cost_usd_total needs 'feature': tenant/Top features, cost/By feature use it "
            "(accepted: none: every label is needed)",
        ),
        ("{metrics: [ai_gateway_errors_total], drop: [code]}", 1, "CloudErrorRateHigh"),
        ("{metrics: [ai_gateway_eval_score], drop: [alias]}", 1, "values of a gauge cannot be summed"),
        ("{metrics: ['ai_gateway_tenant_*'], rare_tenants: {keep: [acme]}}", 1, "unknown tenant 'acme'; did you mean 'acme-corp'?"),
        ("{metrics: ['ai_gateway_tenant_*'], rare_tenants: {rest: acme-corp}}", 1, "'acme-corp' is the name of a tenant"),
        ("{metrics: [ai_gateway_errors_total], rare_tenants: {top: 1}}", 1, "none of these metrics has the label tenant"),
        ("{metrics: ['ai_gateway_tenant_*'], rare_tenants: {top: -1}}", 1, "-1"),
        (
            "{metrics: [ai_gateway_response_tokens], drop: [feature]}\n    - {metrics: ['*'], drop: [feature]}",
            2,
            "ai_gateway_response_tokens already has a policy, entry 1",
        ),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_is_told_at_its_place(entry: str, line: int, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(f"\n  policy:\n    - {entry}\n")
    problems = [str(problem) for problem in caught.value.problems]
    first = with_policy("\n  policy:\n    - {}").splitlines().index("    - {}") + 1
    assert any(said in problem and problem.startswith(f"catalog.yaml:{first + line - 1}:") for problem in problems), (
        problems
    )


def test_a_gateway_that_counts_metrics_of_its_own_has_no_policy() -> None:
    text = (HYBRID.parent / "litellm-vllm.yaml").read_text(encoding="utf-8")
    text = text.replace(
        "\ncardinality:\n", "\ncardinality:\n  policy: [{metrics: ['ai_gateway_tenant_*'], rare_tenants: {}}]\n"
    )
    with pytest.raises(InvalidInput) as caught:
        parse_catalog(text, "catalog.yaml", further_checks())
    assert "a gateway of binding 'litellm' counts its own metrics" in str(caught.value.problems[0])


def test_who_is_named_spends_most_or_is_overridden_keeps_their_name(hybrid: LoadedCatalog) -> None:
    text = GROUPED.replace("keep: [acme-corp], top: 1", "keep: [internal-tools], top: 1")
    policies = metric_policies(load(text).catalog)
    groups = policies["ai_gateway_tenant_requests_total"].groups
    assert groups is not None
    assert groups.kept == {"internal-tools", "acme-corp"}
    assert (groups.label("acme-corp"), groups.label("initech-news"), groups.label("")) == ("acme-corp", "other", "")
    assert policies["ai_gateway_cost_usd_total"].groups is None
    data = yaml.safe_load(with_policy(text))
    data["alarms"]["QuotaBucketSaturated"] = {
        "overrides": [{"tenant": "initech-news", "thresholds": {"max_ratio": 0.5}}]
    }
    catalog = parse_catalog(yaml.safe_dump(data), "catalog.yaml", further_checks()).catalog
    assert tenant_map(catalog)["ai_gateway_tenant_requests_total"] == {"globex-media": "other"}


def test_the_gateway_adds_up_what_becomes_one(grouped: LoadedCatalog) -> None:
    metrics = ContractMetrics(tuple(EVERY_LABEL), metric_policies(grouped.catalog))
    for tenant, calls in (("acme-corp", 1), ("globex-media", 10), ("initech-news", 100), ("", 1000)):
        labels = {"tenant": tenant, "region": "ap-south-1", "status": "success"}
        metrics.count("ai_gateway_tenant_requests_total", calls, **labels)
        metrics.count("ai_gateway_cost_usd_total", calls, tenant=tenant, feature="chat", alias="chat")
        metrics.set("ai_gateway_quota_bucket_fill_ratio", calls / 1000, tenant=tenant, provider="openai")
    for feature in ("chat", "search"):
        metrics.observe("ai_gateway_response_tokens", 100, alias="chat", feature=feature)
    text = generate_latest(metrics.registry).decode()
    calls = by_tenant(text, "ai_gateway_tenant_requests_total")
    assert calls == {"acme-corp": 1, "other": 110, "": 1000}
    assert sum(calls.values()) == 1111
    assert by_tenant(text, "ai_gateway_cost_usd_total")["globex-media"] == 10
    assert by_tenant(text, "ai_gateway_quota_bucket_fill_ratio") == {"acme-corp": 0.001, "other": 0.1, "": 1}
    assert 'ai_gateway_response_tokens_count{alias="chat"} 2.0' in text


def test_the_audit_exporter_adds_up_what_becomes_one(grouped: LoadedCatalog, tmp_path: Path) -> None:
    log = write_log(tmp_path / "audit.jsonl", [call(tenant=name) for name in grouped.catalog.tenants for _ in range(3)])
    exporter = AuditExporter(grouped.catalog, log, record_decoder())
    exporter.count_new()
    registry = CollectorRegistry()
    registry.register(exporter)
    text = generate_latest(registry).decode()
    exporter.close()
    assert by_tenant(text, "ai_gateway_tenant_requests_total") == {"acme-corp": 3, "other": 9}
    assert by_tenant(text, "ai_gateway_cost_usd_total") == dict.fromkeys(grouped.catalog.tenants, 0.75)
    assert 'ai_gateway_response_tokens_count{alias="chat"} 12.0' in text
    assert 'ai_gateway_response_tokens_bucket{alias="chat",le="+Inf"} 12.0' in text


def by_tenant(text: str, name: str) -> dict[str, float]:
    return {
        sample.labels["tenant"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_budgets_are_grouped_as_the_spend_is(grouped: LoadedCatalog, hybrid: LoadedCatalog) -> None:
    spend = load(GROUPED.replace("ai_gateway_tenant_*", "ai_gateway_cost_usd_total"))
    assert budgets(grouped) == budgets(hybrid)
    assert budgets(spend) == {("acme-corp", "in-region-only"): 90_000, ("other", "anywhere"): 60_000}
    assert math.fsum(budgets(spend).values()) == math.fsum(budgets(hybrid).values())
    mixed = load("\n  policy: [{metrics: [ai_gateway_cost_usd_total], rare_tenants: {top: 0}}]\n")
    assert budgets(mixed) == {("other", "several"): 150_000}


def budgets(loaded: LoadedCatalog) -> dict[tuple[str, str], float]:
    rules = yaml.safe_load(render_tree(loaded, Deployment.production(loaded.catalog))[RULES_PATH])
    return {
        (rule["labels"]["tenant"], rule["labels"]["zone"]): float(
            rule["expr"].removeprefix("vector(").removesuffix(")")
        )
        for group in rules["groups"]
        for rule in group["rules"]
        if rule.get("record") == "tier:tenant:budget_usd"
    }


def test_a_board_offers_grouped_tenants_and_those_that_are_not(grouped: LoadedCatalog, hybrid: LoadedCatalog) -> None:
    def variable(loaded: LoadedCatalog) -> Any:
        tree = render_tree(loaded, Deployment.production(loaded.catalog))
        board = json.loads(tree["grafana/dashboards/tenant.json"])
        return next(one["query"]["query"] for one in board["templating"]["list"] if one["name"] == "tenant")

    assert variable(hybrid) == "label_values(tier:tenant:budget_usd, tenant)"
    assert variable(grouped) == 'label_values({__name__=~"tier:tenant:(budget_usd|calls:rate5m)"}, tenant)'
