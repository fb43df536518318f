"""The generated promtool tests: they pass for whatever a catalog sets, and fail when a rule is not what they prove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.conventions import HEARTBEAT
from tiercli.output.tree import to_yaml
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alarm_folders import alarm_paths
from tiercli.rules.deployment import timing_of
from tiercli.rules.unit_tests import build_tested_rules, build_unit_tests, expand_template
from tiercli.signals.rule import rule_file_content

NAMES = sorted(alarm_paths())
Rules = dict[str, Any]


_TEXTS: dict[int, tuple[LoadedCatalog, str, dict[str, str]]] = {}  # by the identity of a catalog, which is kept with it


def texts_of(loaded: LoadedCatalog) -> tuple[str, dict[str, str]]:
    """The alert rules, and a test file an alarm."""
    if id(loaded) not in _TEXTS:
        timing = timing_of(loaded.catalog)
        alarms = load_alarms(loaded, timing)
        rules = to_yaml(rule_file_content(build_tested_rules(loaded.catalog, alarms, timing)))
        tests = {alarm.alarm: to_yaml(build_unit_tests(loaded.catalog, alarms, alarm, timing)) for alarm in alarms}
        _TEXTS[id(loaded)] = loaded, rules, tests
    return _TEXTS[id(loaded)][1:]


def write_tests(
    loaded: LoadedCatalog, folder: Path, edit: Callable[[Rules], object] = lambda rules: None
) -> list[Path]:
    """The alert rules, changed by `edit`, and a test file an alarm."""
    rules_text, tests = texts_of(loaded)
    rules = yaml.safe_load(rules_text)
    edit(rules)
    (folder / "alerts.yml").write_text(to_yaml(rules), encoding="utf-8")
    files = []
    for alarm, text in tests.items():
        files.append(folder / f"{alarm}_test.yml")
        files[-1].write_text(text, encoding="utf-8")
    return files


def rule_of(rules: Rules, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        rule for group in rules["groups"] for rule in group["rules"] if rule.get("alert") == name
    )
    return found


def unnest(text: str, old: str, new: str) -> str:
    assert old in text, text
    return text.replace(old, new)


SETTINGS = [
    pytest.param(
        {name: {"for": "0s"} for name in ("GatewayDown", "ProviderDown", "ProviderLatencyHigh", "CloudErrorRateHigh")},
        id="without any waiting",
    ),
    pytest.param(
        {"ProviderDown": {"for": "2h7m"}, "CloudErrorRateHigh": {"for": "50s"}}, id="with odd and long waiting"
    ),
    pytest.param(
        {
            "ProviderDown": {"thresholds": {"min_requests": 1234567.25}},
            "ProviderLatencyHigh": {"thresholds": {"min_seconds": 0.0001, "ratio": 1, "min_requests": 1}},
            "ProviderErrorRateHigh": {"thresholds": {"min_ratio": 0, "ratio": 1.1}},
            "CloudErrorRateHigh": {"thresholds": {"max_ratio": 0}},
        },
        id="with extreme thresholds",
    ),
    pytest.param(
        {
            "ProviderDown": {
                "overrides": [
                    {"provider": "anthropic", "thresholds": {"min_requests": 50}},
                    {"provider": "anthropic", "region": "us-east-1", "thresholds": {"min_requests": 2}},
                ]
            },
            "ProviderLatencyHigh": {
                "overrides": [
                    {"provider": "anthropic", "thresholds": {"min_seconds": 9, "ratio": 3}},
                    {"region": "mumbai-dc", "thresholds": {"min_requests": 90}},
                ]
            },
            "ProviderErrorRateHigh": {"overrides": [{"model": "gpt-5-mini", "thresholds": {"min_ratio": 0.3}}]},
            "CloudErrorRateHigh": {
                "thresholds": {"max_ratio": 0.2},
                "overrides": [{"provider": "anthropic", "thresholds": {"max_ratio": 0.01}}],
            },
        },
        id="with thresholds for some, higher and lower than for all",
    ),
    pytest.param(
        {
            "ProviderLatencyHigh": {
                "overrides": [
                    {"provider": name, "thresholds": {"min_seconds": 7}} for name in ("anthropic", "openai", "vllm")
                ]
            }
        },
        id="with thresholds of their own for all",
    ),
    pytest.param(
        {
            "ProviderDown": {
                "overrides": [
                    {"provider": "anthropic", "severity": "notify", "owner": "content-ai", "for": "6m"},
                    {"provider": "anthropic", "region": "us-east-1", "severity": "trend", "for": "30s"},
                ]
            },
            "PostconditionViolations": {
                "overrides": [
                    {"alias": "smart-reasoner", "thresholds": {"max_violations": 7}, "for": "1m"},
                    {"alias": "chat", "provider": "openai", "severity": "trend"},
                ]
            },
            "TenantSpendHigh": {
                "overrides": [
                    {"tenant": "acme-corp", "thresholds": {"ratio": 4}, "owner": "content-ai"},
                    {"tenant": "globex-media", "thresholds": {"min_usd_per_hour": 90}, "severity": "page"},
                ]
            },
            "QuotaBucketSaturated": {
                "overrides": [
                    {"tenant": "acme-corp", "thresholds": {"max_ratio": 0.5}},
                    {"provider": "openai", "for": "20m", "severity": "trend"},
                ]
            },
            "TenantBudgetForecast": {"overrides": [{"tenant": "acme-corp", "thresholds": {"min_days": 10}}]},
        },
        id="with other severities, owners and waiting for some aliases, tenants and providers",
    ),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_tests_pass_whatever_a_catalog_sets(
    promtool: Any, changed_hybrid: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    loaded = changed_hybrid(lambda data: data.update(alarms=settings))
    # Those that are set; what holds without any setting is shown for every alarm by tests/lint/test_rule_tests.py.
    files = [path for path in write_tests(loaded, tmp_path) if path.name.removesuffix("_test.yml") in settings]
    code, output = promtool("test", "rules", *files)
    assert code == 0, output
    assert output.count("SUCCESS") == len(settings)


BREAKS = [
    pytest.param("GatewayDown", lambda rule: rule.update(expr="tier:gateway:healthy_instances:count <= 1"), id="fires while one gateway is healthy"),
    pytest.param("GatewayDown", lambda rule: rule.update({"for": "2m"}), id="waits too long"),
    pytest.param("GatewayDown", lambda rule: rule.update({"for": "45s"}), id="does not wait long enough"),
    pytest.param("GatewayDown", lambda rule: rule["labels"].update(severity="notify"), id="has another severity"),
    pytest.param("GatewayDown", lambda rule: rule["labels"].pop("estate"), id="does not say of which estate"),
    pytest.param("GatewayDown", lambda rule: rule["annotations"].update(action="Wait."), id="says another action"),
    pytest.param("ProviderDown", lambda rule: rule.update(expr=unnest(rule["expr"], ">= 5", "> 5")), id="is silent at its guard"),
    pytest.param("ProviderDown", lambda rule: rule.update(expr=unnest(rule["expr"], ">= 5", ">= 4")), id="fires below its guard"),
    pytest.param("ProviderDown", lambda rule: rule.pop("keep_firing_for"), id="lets go too soon"),
    pytest.param("ProviderDown", lambda rule: rule.update(keep_firing_for="20m"), id="never lets go"),
    pytest.param("ProviderDown", lambda rule: rule.update(expr=unnest(rule["expr"], 'ALERTS{alertname="ProviderDown"', 'ALERTS{alertname="Another"')), id="lets go of a provider that the gateway cools down"),
    pytest.param("ProviderDown", lambda rule: rule.update(expr=unnest(rule["expr"], 'ALERTS{alertname="ProviderDown", alertstate="firing"', 'ALERTS{alertname="ProviderDown", alertstate="pending"')), id="holds what only waits"),
    pytest.param("ProviderDown", lambda rule: rule.update(expr=unnest(rule["expr"], "sum by (provider, region)", "sum by (region)").replace("on (provider, region)", "on (region)")), id="takes one provider for another"),
    pytest.param("ProviderLatencyHigh", lambda rule: rule.update(expr=unnest(rule["expr"], "p95_5m:usual + 2)", "p95_5m:usual + 3)")), id="is silent above twice what is usual"),
    pytest.param("ProviderLatencyHigh", lambda rule: rule.update(expr=unnest(rule["expr"], "p95_5m > on", "p95_5m >= on")), id="fires at twice what is usual"),
    pytest.param("ProviderLatencyHigh", lambda rule: rule.update(expr=unnest(rule["expr"], ">= 20", ">= 1")), id="fires without traffic"),
    pytest.param("ProviderLatencyHigh", lambda rule: rule.update(expr=unnest(rule["expr"], "tier:threshold:provider_latency_high_min_seconds", "(tier:threshold:provider_latency_high_min_seconds * 0)")), id="does not know a threshold of its own"),
    pytest.param("ProviderLatencyHigh", lambda rule: rule.update(expr=unnest(rule["expr"], ", 0.3)", ", 0)")), id="forgets the floor"),
    pytest.param("ProviderErrorRateHigh", lambda rule: rule.update(expr=unnest(rule["expr"], "+ on (provider, region) group_left () tier:provider:typical_errors:ratio", "- on (provider, region) group_left () tier:provider:typical_errors:ratio")), id="fires below what is typical"),
    pytest.param("ProviderErrorRateHigh", lambda rule: rule.update(expr=unnest(rule["expr"], "error_ratio:rate5m + 5)", "error_ratio:rate5m + 1)")), id="fires for a handful of failures"),
    pytest.param("ProviderErrorRateHigh", lambda rule: rule.update(expr=unnest(rule["expr"], "4 * sqrt", "0 * sqrt")), id="takes chance for a fault"),
    pytest.param("ProviderErrorRateHigh", lambda rule: rule.update(expr=unnest(rule["expr"], "4 * sqrt", "40 * sqrt")), id="is silent for what is no chance"),
    pytest.param("CloudErrorRateHigh", lambda rule: rule.update(expr=unnest(rule["expr"], '{tier="cloud"}', "")), id="fires for the local tier"),
    pytest.param("CloudErrorRateHigh", lambda rule: rule.update(expr=unnest(rule["expr"], "> 0.05", ">= 0.05")), id="fires at its limit"),
    pytest.param("Watchdog", lambda rule: rule.update(expr="vector(1) == 2"), id="does not always fire"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), BREAKS)
def test_the_tests_fail_when_an_alarm(
    promtool: Any, hybrid: LoadedCatalog, tmp_path: Path, name: str, change: Callable[[dict[str, Any]], object]
) -> None:
    write_tests(hybrid, tmp_path, lambda rules: change(rule_of(rules, name)))
    code, output = promtool("test", "rules", tmp_path / f"{name}_test.yml")
    assert code == 1, output
    assert "FAILED" in output


def test_the_tests_fail_when_an_alarm_is_gone_or_another_joins_its_fire(
    promtool: Any, hybrid: LoadedCatalog, tmp_path: Path
) -> None:
    def gone(rules: Rules) -> None:
        for group in rules["groups"]:
            group["rules"] = [rule for rule in group["rules"] if rule.get("alert") != "GatewayDown"]

    write_tests(hybrid, tmp_path, gone)
    assert promtool("test", "rules", tmp_path / "GatewayDown_test.yml")[0] == 1
    # Not its own test, but that of the alarm which it joins, notices an alarm that fires beside it.
    write_tests(hybrid, tmp_path, lambda rules: rule_of(rules, "CloudErrorRateHigh").update(expr="vector(1)"))
    assert promtool("test", "rules", tmp_path / "GatewayDown_test.yml")[0] == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_check_of_every_case_names_all_alarms(hybrid: LoadedCatalog, tmp_path: Path, name: str) -> None:
    write_tests(hybrid, tmp_path)
    content = yaml.safe_load((tmp_path / f"{name}_test.yml").read_text())
    groups = yaml.safe_load((tmp_path / "alerts.yml").read_text())["groups"]
    assert sorted(content["group_eval_order"]) == sorted(group["name"] for group in groups)
    fired = False
    for test in content["tests"]:
        times = list(dict.fromkeys(check["eval_time"] for check in test["alert_rule_test"]))
        for time in times:
            checks = {c["alertname"]: c["exp_alerts"] for c in test["alert_rule_test"] if c["eval_time"] == time}
            assert sorted(checks) == NAMES
            firing = {alarm for alarm, alerts in checks.items() if alerts}
            assert firing - {name} == {"Watchdog"} - {name}
            fired = fired or name in firing
    assert fired


def test_a_case_with_waiting_is_looked_at_before_and_after_it_has_passed(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    write_tests(hybrid, tmp_path)
    content = yaml.safe_load((tmp_path / "ProviderDown_test.yml").read_text())
    (test,) = [test for test in content["tests"] if "guard's edge" in test["name"]]
    checks = {c["eval_time"]: len(c["exp_alerts"]) for c in test["alert_rule_test"] if c["alertname"] == "ProviderDown"}
    assert checks["45s"] == 0
    assert checks["1m"] == 1


def test_an_overridden_threshold_has_cases_of_its_own(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    write_tests(hybrid, tmp_path)
    content = yaml.safe_load((tmp_path / "ProviderLatencyHigh_test.yml").read_text())
    own = [test for test in content["tests"] if test["name"].endswith("with a threshold of its own")]
    assert len(own) == len(content["tests"]) / 2
    for test in own:
        recorded = [series for series in test["input_series"] if series["series"].startswith("tier:threshold:")]
        assert [series["values"].split("x")[0] for series in recorded] == ["1.5"]


def test_only_a_heartbeat_always_fires(hybrid: LoadedCatalog) -> None:
    always = {a.alarm for a in load_alarms(hybrid, timing_of(hybrid.catalog)) if a.severity == HEARTBEAT}
    assert always == {"Watchdog"}


@pytest.mark.parametrize(
    ("text", "value", "expanded"),
    [
        pytest.param("{{ $labels.provider }} is down", 0, 'a"b & {{ c }} is down', id="a label as it is"),
        pytest.param("?p={{ $labels.provider | urlquery }}", 0, "?p=a%22b+%26+%7B%7B+c+%7D%7D", id="a label in a URL"),
        pytest.param('{{ $value | printf "%.2f" }} s', 1.005, "1.00 s", id="a value with two digits"),
        pytest.param("{{ $value | humanizePercentage }}", 0.123456, "12.35%", id="a share in percent"),
        pytest.param("{{ $labels.nothing }}", 0, "", id="a label that is not there is empty"),
    ],
)
def test_expands_go_templates_as_prometheus_does(text: str, value: float, expanded: str) -> None:
    assert expand_template(text, {"provider": 'a"b & {{ c }}'}, value) == expanded
