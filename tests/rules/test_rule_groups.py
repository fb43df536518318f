"""The rule file and Prometheus' configuration: what every alert carries, what grows with a catalog and what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import InvalidInput
from tiercli.output.tree import render_servers, to_yaml
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alarm_folders import alarm_paths
from tiercli.rules.alerting import build_rule_groups
from tiercli.rules.deployment import Deployment, timing_of
from tiercli.rules.prometheus_config import build_prometheus
from tiercli.rules.recording import canonical_records
from tiercli.rules.runbooks import markdown_cell, render_runbook
from tiercli.signals.recorded import RECORDED
from tiercli.signals.rule import rule_file_content
from tiercli.signals.timing import Timing

NAMES = sorted(alarm_paths())
Change = Callable[[Callable[[dict[str, Any]], object]], LoadedCatalog]


def groups_of(loaded: LoadedCatalog, timing: Timing | None = None) -> list[dict[str, Any]]:
    timing = timing or timing_of(loaded.catalog)
    groups: list[dict[str, Any]] = rule_file_content(build_rule_groups(loaded, timing, load_alarms(loaded, timing)))[
        "groups"
    ]
    return groups


def alerts_of(loaded: LoadedCatalog) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups_of(loaded) for rule in group["rules"] if "alert" in rule}


def add_providers(data: dict[str, Any], count: int) -> None:
    for number in range(count):
        name = f"provider-{number}"
        data["providers"][name] = {
            "tier": "cloud",
            "owner": "platform",
            "regions": {"r1": {}, "r2": {}},
            "models": {"m": {}},
        }
        data["price_book"]["models"][name] = {"m": {"input": 1.0, "output": 2.0}}
        override = {"provider": name, "thresholds": {"min_seconds": 2.0 + number}}
        data["alarms"]["ProviderLatencyHigh"]["overrides"].append(override)


def test_every_alarm_is_a_rule_with_the_labels_and_annotations_of_all(hybrid: LoadedCatalog) -> None:
    alerts = alerts_of(hybrid)
    assert sorted(alerts) == NAMES
    for name, rule in alerts.items():
        of_policy = set() if "group_left (severity, owner)" not in rule["expr"] else {"severity", "owner"}
        assert set(rule["labels"]) == {"estate", "env", "severity", "owner", "source"} - of_policy, name
        assert set(rule["annotations"]) == {"summary", "description", "action", "sla", "runbook_url", "dashboard_url"}
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example.com/llm-gateway/runbooks/{name}"
        assert "viewPanel=0" not in rule["annotations"]["dashboard_url"]


def test_two_estates_give_alerts_that_differ_in_estate_and_env(hybrid: LoadedCatalog, changed_hybrid: Change) -> None:
    other = changed_hybrid(lambda data: data.update(estate="another-company", env="staging"))
    of_other = alerts_of(other)
    for name, rule in alerts_of(hybrid).items():
        theirs = of_other[name]
        assert (rule["labels"]["estate"], rule["labels"]["env"]) == ("content-company", "production")
        assert (theirs["labels"]["estate"], theirs["labels"]["env"]) == ("another-company", "staging")
    # An alarm of one estate does not enter the baseline, or hold the page, of the other.
    text = to_yaml(groups_of(other))
    assert "content-company" not in text
    assert text.count("ALERTS{") == text.count('estate="another-company", env="staging"')


def add_tenants(data: dict[str, Any], count: int) -> None:
    entry = {"features": ["chat"], "budget_usd_per_month": 1, "zone": "anywhere"}
    data["tenants"] |= {f"tenant-{number}": entry for number in range(count)}


def test_alert_rules_do_not_grow_with_the_catalog(
    promtool: Any, hybrid: LoadedCatalog, changed_hybrid: Change, tmp_path: Path
) -> None:
    large = changed_hybrid(lambda data: (add_providers(data, 100), add_tenants(data, 500)))
    assert {name: rule["expr"] for name, rule in alerts_of(large).items()} == {
        name: rule["expr"] for name, rule in alerts_of(hybrid).items()
    }
    (tmp_path / "rules.yml").write_text(to_yaml({"groups": groups_of(large)}))
    code, output = promtool("check", "rules", tmp_path / "rules.yml")
    assert code == 0, output


def series_read(expr: str) -> set[str]:
    """The names of the series that an expression reads."""
    names = set()

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            names.add(str(node.name))
        return True

    promql_parser.walk(promql_parser.parse(expr), visit)
    return names


def test_an_alert_shares_a_group_with_what_it_reads_and_comes_after_it(hybrid: LoadedCatalog) -> None:
    constants = {
        rule["record"]
        for group in groups_of(hybrid)
        for rule in group["rules"]
        if group["name"] == "tiercli-meta"
        if "record" in rule
    }
    recorded_anywhere = {rule.get("record") for group in groups_of(hybrid) for rule in group["rules"]}
    for group in groups_of(hybrid):
        earlier: set[str] = set()
        for rule in group["rules"]:
            if "alert" in rule:
                assert series_read(rule["expr"]) & recorded_anywhere <= earlier | constants, rule
            earlier.add(rule.get("record", ""))


def test_every_recorded_series_of_the_contract_is_recorded(hybrid: LoadedCatalog) -> None:
    recorded = {rule.get("record") for group in groups_of(hybrid) for rule in group["rules"]}
    only_with_deployments = {"tier:gateway:deployment_info", "tier:gateway:unnamed_attempts:increase5m"}
    assert set(canonical_records(hybrid, Timing()).unbound) <= only_with_deployments
    assert {series.name for series in RECORDED} - only_with_deployments <= recorded


def test_a_page_is_kept_past_the_windows_that_it_inhibits(changed_hybrid: Change) -> None:
    loaded = changed_hybrid(lambda data: data["alertmanager"].update(group_interval="3m"))
    assert alerts_of(loaded)["ProviderDown"]["keep_firing_for"] == "9m"


def test_an_unknown_binding_is_told_where_the_catalog_names_it(changed_hybrid: Change) -> None:
    loaded = changed_hybrid(lambda data: data["gateway"].update(binding="nativ"))
    with pytest.raises(InvalidInput) as raised:
        groups_of(loaded)
    (problem,) = raised.value.problems
    assert problem.location.file == "changed.yaml"
    assert problem.location.line > 1
    assert problem.suggestion == "native"


@pytest.mark.parametrize("factor", [1.0, 30.0, 300.0])
def test_prometheus_accepts_the_configuration_under_every_compression(
    promtool: Any, hybrid: LoadedCatalog, tmp_path: Path, factor: float
) -> None:
    timing = timing_of(hybrid.catalog, factor)
    deployment = replace(Deployment.production(hybrid.catalog), timing=timing)
    tree = render_servers(hybrid, deployment, load_alarms(hybrid, timing))
    for path, text in tree.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    code, output = promtool("check", "config", tmp_path / "prometheus" / "prometheus.yml")
    assert code == 0, output
    assert "1 rule files found" in output


def test_scrapes_the_gateway_and_the_servers_that_have_metrics(hybrid: LoadedCatalog, changed_hybrid: Change) -> None:
    def jobs(loaded: LoadedCatalog) -> dict[str, Any]:
        config = build_prometheus(loaded.catalog, Deployment.production(loaded.catalog))
        return {job["job_name"]: job for job in config["scrape_configs"]}

    assert jobs(hybrid)["tiercli-gateway"]["static_configs"] == [{"targets": ["gateway-1.internal:9100"]}]
    assert jobs(hybrid)["tiercli-servers"]["static_configs"] == [
        {
            "targets": [f"{name}.internal:8000"],
            "labels": {"server": name, "provider": "vllm", "region": "mumbai-dc"},
        }
        for name in ("vllm-a", "vllm-b")
    ]
    gpus = jobs(hybrid)["tiercli-source-gpus"]
    assert gpus["static_configs"] == [{"targets": ["vllm-a.internal:9400", "vllm-b.internal:9400"]}]

    def change(data: dict[str, Any]) -> None:
        for server in data["providers"]["vllm"]["servers"].values():
            del server["metrics"]
        data["gateway"].update(path="/own/metrics", scheme="https")

    changed = jobs(changed_hybrid(change))
    assert list(changed) == ["tiercli-gateway", "tiercli-source-gpus", "tiercli-prometheus"]
    assert (changed["tiercli-gateway"]["scheme"], changed["tiercli-gateway"]["metrics_path"]) == (
        "https",
        "/own/metrics",
    )


def test_names_the_estate_for_everything_that_leaves_prometheus(hybrid: LoadedCatalog) -> None:
    config = build_prometheus(hybrid.catalog, Deployment.production(hybrid.catalog))
    assert config["global"]["external_labels"] == {"estate": "content-company", "env": "production"}
    assert config["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["alertmanager.internal:9093"]}]


def test_a_runbook_says_what_this_catalog_sets(changed_hybrid: Change) -> None:
    def change(data: dict[str, Any]) -> None:
        data["alarms"] = {"ProviderDown": {"owner": "content-ai", "thresholds": {"min_requests": 12}}}
        data["owners"]["content-ai"]["contact"] = "#ai | <b>`x`</b>"

    loaded = changed_hybrid(change)
    timing = timing_of(loaded.catalog)
    (down,) = [alarm for alarm in load_alarms(loaded, timing) if alarm.alarm == "ProviderDown"]
    text = render_runbook(loaded.catalog, down, timing)
    assert "| Owner | content-ai (\\#ai \\| \\<b\\>\\`x\\`\\</b\\>) |" in text
    assert "| min_requests | 12 attempts per minute | 5 |" in text
    assert down.expr in text
    assert "## What to do" in text
    assert not [line for line in text.splitlines() if line.startswith("|") and not line.endswith("|")]


def test_no_name_ends_a_cell_of_a_table() -> None:
    assert markdown_cell("a|b\nc") == "a\\|b c"


def test_generated_yaml_reads_back_as_it_was(hybrid: LoadedCatalog) -> None:
    content = {"groups": groups_of(hybrid)}
    assert yaml.safe_load(to_yaml(content)) == content
    assert "&id" not in to_yaml({"one": content, "two": content})
