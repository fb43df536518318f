"""Alarm files: what they must say, what a catalog can change in them, and that their own tests can fail."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import HYBRID
from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.errors import InvalidInput
from tiercli.output.tree import to_yaml
from tiercli.rules.alarm_files import alarm_paths, load_alarms
from tiercli.rules.deployment import timing_of
from tiercli.rules.go_templates import expand_template
from tiercli.rules.unit_tests import build_tested_rules, build_unit_tests
from tiercli.sandbox.binaries import find_stack
from tiercli.signals.panels import panel_id

ALARMS = sorted(alarm_paths())
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


def test_the_alarms_that_come_with_tiercli() -> None:
    assert ALARMS == [
        "CloudErrorRateHigh",
        "GatewayDown",
        "ProviderDown",
        "ProviderErrorRateHigh",
        "ProviderLatencyHigh",
        "Watchdog",
    ]


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*/*.yml.j2")), ids=lambda path: path.stem)
def test_no_raw_duration_in_a_template(path: Path) -> None:
    """Every duration passes through a filter, so that a compressed sandbox divides all of them."""
    text = re.sub(r"\{\{.*?\}\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for number, line in enumerate(text.split("\n"), 1):
        assert not re.search(r"[\w})]\[\s*\d+[smhd]", line), f"{path.name}:{number}: a raw range: {line}"
        assert not re.search(r"\boffset\s+\d", line), f"{path.name}:{number}: a raw offset: {line}"
        assert not re.match(r"\s*(for|keep_firing_for|group_wait):\s*\d+[smhd]", line), f"{path.name}:{number}: {line}"


def test_every_alarm_links_to_a_panel_that_exists(hybrid: LoadedCatalog) -> None:
    for alarm in load_alarms(hybrid, timing_of(hybrid.catalog)):
        assert panel_id(alarm.panel.dashboard, alarm.panel.panel), alarm.alarm


def test_compression_divides_every_duration_of_an_alarm(hybrid: LoadedCatalog) -> None:
    slow = {alarm.alarm: alarm for alarm in load_alarms(hybrid, timing_of(hybrid.catalog))}
    fast = {alarm.alarm: alarm for alarm in load_alarms(hybrid, timing_of(hybrid.catalog, 30))}
    assert slow["ProviderDown"].for_ == "1m"
    assert fast["ProviderDown"].for_ == "2s"
    # The longest window that it inhibits, group_interval, and a minute: inhibition must not leak at recovery.
    assert slow["ProviderDown"].keep_firing_for == "7m"
    assert fast["ProviderDown"].keep_firing_for == "14s"


def change(text: str) -> LoadedCatalog:
    """The hybrid catalog with another `alarms` section."""
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    return parse_catalog(yaml.safe_dump(data | {"alarms": yaml.safe_load(text)}, sort_keys=False), "changed.yaml")


def test_a_catalog_changes_severity_owner_for_and_thresholds() -> None:
    loaded = change("{ProviderDown: {severity: notify, owner: content-ai, for: 3m, thresholds: {min_requests: 7}}}")
    alarm = next(one for one in load_alarms(loaded, timing_of(loaded.catalog)) if one.alarm == "ProviderDown")
    assert (alarm.severity, alarm.owner, alarm.for_) == ("notify", "content-ai", "3m")
    assert ">= 7" in alarm.expr


@pytest.mark.parametrize(
    ("alarms", "said"),
    [
        ("{ProviderDwn: {for: 1m}}", "unknown alarm 'ProviderDwn'; did you mean 'ProviderDown'?"),
        (
            "{ProviderDown: {thresholds: {min_request: 1}}}",
            "unknown threshold 'min_request' of ProviderDown; did you mean 'min_requests'?",
        ),
        ("{ProviderLatencyHigh: {thresholds: {min_seconds: 500}}}", "no quantile can exceed the last bucket"),
        (
            "{ProviderLatencyHigh: {overrides: [{provider: vllm, thresholds: {min_second: 1}}]}}",
            "unknown threshold 'min_second'",
        ),
    ],
)
def test_a_setting_that_no_alarm_has_is_named_at_its_place(alarms: str, said: str) -> None:
    loaded = change(alarms)
    with pytest.raises(InvalidInput) as failed:
        load_alarms(loaded, timing_of(loaded.catalog))
    assert any(said in str(problem) and problem.location.line for problem in failed.value.problems), (
        failed.value.problems
    )


def promtool_test(
    loaded: LoadedCatalog, folder: Path, edit: tuple[str, str] = ("", "")
) -> subprocess.CompletedProcess[str]:
    """Run an estate's unit tests with promtool, its alert rules changed by a replacement."""
    alarms = load_alarms(loaded, timing_of(loaded.catalog))
    rules = to_yaml(build_tested_rules(loaded.catalog, alarms))
    if edit[0]:
        assert edit[0] in rules
        rules = rules.replace(*edit)
    (folder / "alerts.yml").write_text(rules)
    files = []
    for alarm in alarms:
        files.append(f"{alarm.alarm}_test.yml")
        (folder / files[-1]).write_text(to_yaml(build_unit_tests(loaded.catalog, alarms, alarm)))
    command = [str(find_stack().promtool.path), "test", "rules", *files]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_the_alarms_pass_their_own_unit_tests(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    done = promtool_test(hybrid, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "edit",
    [
        ("(tier:provider:requests:increase1m) >= 5)", "(tier:provider:requests:increase1m) >= 6)"),
        ("(tier:provider:requests:increase1m) >= 5)", "(tier:provider:requests:increase1m) >= 4)"),
        ("for: 5m", "for: 4m"),
        ("for: 1m", "for: 15s"),
        ("keep_firing_for: 7m", "keep_firing_for: 1m"),
        ("tier:provider:region_error_ratio:rate5m > 0.05", "tier:provider:region_error_ratio:rate5m > 0.06"),
        ("tier:provider:region_error_ratio:rate5m > 0.05", "tier:provider:region_error_ratio:rate5m >= 0.05"),
        ('tier:provider:info{tier="cloud"}', "tier:provider:info"),
        ("2 * tier:provider:latency_seconds:p95_5m:baseline", "3 * tier:provider:latency_seconds:p95_5m:baseline"),
        ("tier:gateway:healthy_instances:count == 0", "tier:gateway:healthy_instances:count < 2"),
        ("is down", "is up"),
        ("severity: page", "severity: notify"),
    ],
    ids=lambda edit: edit[1],
)
def test_a_broken_alarm_fails_its_own_unit_tests(hybrid: LoadedCatalog, tmp_path: Path, edit: tuple[str, str]) -> None:
    assert promtool_test(hybrid, tmp_path, edit).returncode != 0


def test_every_check_names_every_alarm(hybrid: LoadedCatalog) -> None:
    alarms = load_alarms(hybrid, timing_of(hybrid.catalog))
    for test in [test for alarm in alarms for test in build_unit_tests(hybrid.catalog, alarms, alarm)["tests"]]:
        times = {check["eval_time"] for check in test["alert_rule_test"]}
        for at in times:
            named = [check["alertname"] for check in test["alert_rule_test"] if check["eval_time"] == at]
            assert sorted(named) == ALARMS, test["name"]


OPERATORS_ALARM = """\
alarm: TokensStopped
condition: No token has come from a provider for a while.
group: provider
severity: trend
source: gateway
identity: [provider]
sla: next working day
action: Look whether anybody still calls it.
panel: {dashboard: provider, panel: Tokens per second}
fault: outage
expr: sum by (provider) (tier:provider:tokens:rate5m) == 0
for: {{ "5m" | duration }}
summary: >-
  {{ label("provider") }} yields nothing
description: >-
  No token from {{ label("provider") }}.
watch: {unit: short, signal: "sum by (provider) (tier:provider:tokens:rate5m)"}
departure: sum by (provider) (increase(ai_gateway_tokens_total[{{ shortest_window }}])) == 0
window_fill: {window: {{ "5m" | window }}, drains: true}
runbook: Look at the dashboard.
cases:
  - name: fires without tokens
    series: [{series: 'tier:provider:tokens:rate5m{provider="p"}', value: 0}]
    fires: [{labels: {provider: p}, value: 0}]
"""


def test_an_operators_own_alarm_joins_with_nothing_else_to_edit(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    (tmp_path / "TokensStopped.yml.j2").write_text(OPERATORS_ALARM)
    alarms = load_alarms(hybrid, timing_of(hybrid.catalog), [tmp_path])
    assert "TokensStopped" in [alarm.alarm for alarm in alarms]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("alarm: TokensStopped", "alarm: Other", "as the file is named"),
        ("severity: trend", "severity: trnd", "did you mean 'trend'?"),
        ("{{ label(", "{{ lable(", "'lable' is undefined"),
        ("runbook: Look at the dashboard.\n", "", "'runbook' is missing"),
        ("group: provider", "group: [", "TokensStopped.yml.j2"),
    ],
)
def test_a_bad_alarm_file_is_told_with_its_place(
    hybrid: LoadedCatalog, tmp_path: Path, old: str, new: str, said: str
) -> None:
    (tmp_path / "TokensStopped.yml.j2").write_text(OPERATORS_ALARM.replace(old, new))
    with pytest.raises(InvalidInput) as failed:
        load_alarms(hybrid, timing_of(hybrid.catalog), [tmp_path])
    assert any(said in str(problem) for problem in failed.value.problems), failed.value.problems
    assert all("TokensStopped" in problem.location.file for problem in failed.value.problems)


def test_annotations_are_expanded_as_prometheus_does() -> None:
    text = '{{ $labels.provider }} {{ $value | humanizePercentage }} {{ $value | printf "%.2f" }} s {{ $labels.region | urlquery }}'
    assert expand_template(text, {"provider": "p", "region": "a b/c"}, 0.0512) == "p 5.12% 0.05 s a+b%2Fc"
