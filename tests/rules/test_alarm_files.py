"""Alarm files: what an operator can write and change, and how mistakes are reported."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.conventions import HEARTBEAT
from tiercli.errors import InvalidInput, Problem
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alarm_folders import alarm_paths
from tiercli.rules.alarm_templates import alarm_context
from tiercli.rules.alerting import build_rule_groups
from tiercli.rules.case_subjects import Subjects
from tiercli.signals.rule import rule_file_content
from tiercli.signals.timing import Timing

ALERTS = resource_folder("templates") / "alerts"
NAMES = sorted(alarm_paths())
Change = Callable[[Callable[[dict[str, Any]], object]], LoadedCatalog]


def problems_of(loaded: LoadedCatalog, *folders: Path) -> list[Problem]:
    with pytest.raises(InvalidInput) as raised:
        load_alarms(loaded, Timing(), folders)
    return list(raised.value.problems)


def copy_of(name: str, folder: Path, *changes: tuple[str, str]) -> Path:
    """An operator's own version of an alarm, with some of its text replaced."""
    text = (ALERTS / f"{name}.yml.j2").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    # At the end, so that lines stay where they are.
    (folder / f"{name}.yml.j2").write_text(text + "\nreplaces: true\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "message", "line_of"),
    [
        pytest.param("severity: page", "severity: pager", "severity is 'pager'", "severity:", id="an unknown severity"),
        pytest.param("sla: 5m", "slaa: 5m", "unknown key 'slaa'", "sla", id="an unknown key"),
        pytest.param(
            "alarm: ProviderDown", "alarm: ProviderGone", "alarm is 'ProviderGone'", "alarm:", id="another name"
        ),
        pytest.param('for: {{ "1m" | duration', 'for: {{ nothing_such', "nothing_such", "for:", id="an unknown name in a template"),
        pytest.param("for: {{", "for: {{ (1", "expected token", "for:", id="a template that does not parse"),
        pytest.param('"1m" | duration }}\n# Past', '"a while" | duration }}\n# Past', "is not a duration", "for:", id="no duration"),
        pytest.param(
            '">=", "min_requests"', '">=", "min_request"', "'min_request' is not declared", "{{ compare", id="an undeclared threshold"
        ),
        pytest.param(
            'tier:provider:requests:increase1m{status="success"}',
            'tier:provider:requests:increase2m{status="success"}',
            "unknown metric 'tier:provider:requests:increase2m'",
            "expr:",
            id="an unknown metric in the expression",
        ),
        pytest.param(
            "identity: [provider, model, region]",
            "identity: [provider, model, region, tenant]",
            "expr yields model, provider, region",
            "expr:",
            id="an expression that does not yield the identity",
        ),
        pytest.param(
            'panel: Error rate', 'panel: Error rat', "unknown panel 'Error rat'", "panel:", id="a panel that is not there"
        ),
        pytest.param(
            "dashboard: provider", "dashboard: providers", "unknown dashboard", "panel:", id="a dashboard that is not there"
        ),
        pytest.param(
            "alarms: [ProviderLatencyHigh", "alarms: [ProviderSlow", "unknown alarm 'ProviderSlow'", "  alarms:", id="inhibits nobody"
        ),
        pytest.param(
            "  equal: [provider, region]", "  equal: [tenant]", "has no tenant", "  alarms:", id="inhibition by a label that is not there"
        ),
        pytest.param('label("region") }} is down', 'label("model") }} is down', "summary contains", "summary:", id="a label that the alert does not have"),
        pytest.param(
            '{{ value("count") }} attempts', "{% raw %}{{ $value }}{% endraw %} attempts", "description contains", "description:", id="a template that unit tests could not expect"
        ),
        pytest.param("source: gateway", "source: gateway\nowner: nobody", "unknown owner 'nobody'", "owner:", id="an unknown owner"),
        pytest.param(
            "departure: |\n", "departure: |\n  / ", "not PromQL", "departure:", id="a departure that does not parse"
        ),
        pytest.param(
            "series: {{ series(\"tier:provider:requests:increase1m\", subject, status=\"failure\") }}",
            'series: "sum(up)"',
            "not a series",
            "cases:",
            id="a unit test's input that is no series",
        ),
        pytest.param("labels: {{ labels(subject_region) }}", "labels: {}", "an alert with no labels", "cases:", id="a unit test's alert without its identity"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line(
    hybrid: LoadedCatalog, tmp_path: Path, old: str, new: str, message: str, line_of: str
) -> None:
    folder = copy_of("ProviderDown", tmp_path, (old, new))
    found = problems_of(hybrid, folder)
    assert [problem for problem in found if message in problem.found], found
    (first, *_) = [problem for problem in found if message in problem.found]
    assert first.location.file == str(tmp_path / "ProviderDown.yml.j2")
    lines = (tmp_path / "ProviderDown.yml.j2").read_text().splitlines()
    # A block's value begins on the line after its key.
    near = lines[max(0, first.location.line - 2) : first.location.line]
    assert first.location.line > 0
    assert line_of == "cases:" or any(line_of in line for line in near), near


def test_every_mistake_of_every_file_is_told_at_once(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    copy_of("ProviderDown", tmp_path, ("severity: page", "severity: pager"))
    copy_of("GatewayDown", tmp_path, ("severity: page", "severity: urgent"))
    assert {Path(problem.location.file).name for problem in problems_of(hybrid, tmp_path)} == {
        "ProviderDown.yml.j2",
        "GatewayDown.yml.j2",
    }


def test_a_file_that_is_not_text_is_bad_input(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    (tmp_path / "ProviderDown.yml.j2").write_bytes(b"\xff\xfe")
    assert "UTF-8" in str(problems_of(hybrid, tmp_path)[0])


def test_a_folder_that_is_not_there_is_bad_input(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is not a folder"):
        load_alarms(hybrid, Timing(), [tmp_path / "nothing"])


def test_an_operators_file_comes_before_ours_and_a_new_one_joins(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    copy_of("ProviderDown", tmp_path, ("sla: 5m to acknowledge", "sla: 2m to acknowledge"))
    text = (ALERTS / "ProviderDown.yml.j2").read_text().replace("ProviderDown", "ProviderGone").split("inhibits:")
    kept = text[1][text[1].index("summary:") :]
    (tmp_path / "ProviderGone.yml.j2").write_text(text[0] + kept)
    alarms = {alarm.alarm: alarm for alarm in load_alarms(hybrid, Timing(), [tmp_path])}
    assert set(alarms) == {*NAMES, "ProviderGone"}
    assert alarms["ProviderDown"].sla == "2m to acknowledge"
    assert "ProviderGone" in alarms["ProviderGone"].expr


@pytest.mark.parametrize(
    ("old", "new", "found", "off"),
    [
        ("expr: tier:drift:departure:ratio > 1", "expr: tier:drift:departure:ratio >> {{ 1 + 1 }}", ">> 2", 0),
        ('for: {{ "1h" | duration }}', 'for: {{ "1h" | duration }}x', "'1hx' is not a duration", 0),
        # Of a block the line on which it begins; of YAML that does not end, the one on which that is missed.
        ("/ {{ limit(tolerance) if", "/) {{ limit(tolerance) if", "/) 0.02", -2),
        ("window: {{", "window: [{{", "expected ',' or ']'", 1),
    ],
    ids=["after loops", "a value", "in a loop", "no YAML"],
)
def test_a_mistake_stands_where_the_template_has_it_and_shows_what_was_rendered(
    hybrid: LoadedCatalog, tmp_path: Path, old: str, new: str, found: str, off: int
) -> None:
    copy_of("Drift", tmp_path, (old, new))
    text = (tmp_path / "Drift.yml.j2").read_text(encoding="utf-8")
    written = next(number for number, line in enumerate(text.splitlines(), 1) if new in line)
    problem = problems_of(hybrid, tmp_path)[0]
    assert found in problem.found
    assert problem.location.line - written in (off, off + 1 if off > 0 else off)


def test_two_alarms_of_one_name_are_an_error_unless_one_says_that_it_stands_in(
    hybrid: LoadedCatalog, tmp_path: Path
) -> None:
    ours = (ALERTS / "ProviderDown.yml.j2").read_text(encoding="utf-8")
    first, other = tmp_path / "one", tmp_path / "other"
    for folder in (first, other):
        folder.mkdir()
    (first / "ProviderDown.yml.j2").write_text(ours)
    (problem,) = problems_of(hybrid, first)
    assert problem.found == f"two alarms are called ProviderDown: the other is in {ALERTS / 'ProviderDown.yml.j2'}"
    assert "replaces: true" in problem.accepted
    copy_of("ProviderDown", first)
    assert load_alarms(hybrid, Timing(), [first])
    copy_of("ProviderDown", other)
    found = [problem.found for problem in problems_of(hybrid, first, other)]
    assert any(str(other) in message for message in found)


def test_what_says_that_it_stands_in_must_stand_for_something(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    copy_of("ProviderDown", tmp_path)
    text = (tmp_path / "ProviderDown.yml.j2").read_text().replace("ProviderDown", "ProviderGone").split("inhibits:")
    (tmp_path / "ProviderDown.yml.j2").unlink()
    kept = text[1][text[1].index("summary:") :]
    (tmp_path / "ProviderGone.yml.j2").write_text(text[0] + kept)
    assert "tiercli has no alarm of that name" in problems_of(hybrid, tmp_path)[0].found


def test_the_catalog_names_folders_of_its_own(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    text = Path(hybrid.document.name).read_text(encoding="utf-8")
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(text + "\ntemplates: [ours]\n", encoding="utf-8")
    with pytest.raises(InvalidInput) as raised:
        load_alarms(load_catalog(catalog), Timing())
    (problem,) = raised.value.problems
    assert (problem.location.file, problem.location.line) == (str(catalog), len(text.splitlines()) + 2)
    assert problem.found == f"{tmp_path / 'ours'} is not a folder"
    (tmp_path / "ours").mkdir()
    copy_of("ProviderDown", tmp_path / "ours", ("sla: 5m to acknowledge", "sla: 2m to acknowledge"))
    alarms = {alarm.alarm: alarm for alarm in load_alarms(load_catalog(catalog), Timing())}
    assert alarms["ProviderDown"].sla == "2m to acknowledge"


@pytest.mark.parametrize(
    ("settings", "message", "suggestion", "accepted"),
    [
        pytest.param({"ProviderDwn": {}}, "unknown alarm 'ProviderDwn'", "ProviderDown", "", id="an unknown alarm"),
        pytest.param(
            {"ProviderDown": {"thresholds": {"min_request": 3}}},
            "unknown threshold 'min_request' of ProviderDown",
            "min_requests",
            "",
            id="an unknown threshold",
        ),
        pytest.param(
            {"ProviderLatencyHigh": {"overrides": [{"provider": "vllm", "thresholds": {"min_secs": 3}}]}},
            "unknown threshold 'min_secs' of ProviderLatencyHigh",
            "min_seconds",
            "",
            id="an unknown threshold in an override",
        ),
        pytest.param(
            {"ProviderDown": {"thresholds": {"min_requests": 0}}},
            "min_requests of ProviderDown is 0",
            "",
            "at least 1",
            id="a guard that guards nothing",
        ),
        pytest.param(
            {"ProviderLatencyHigh": {"thresholds": {"min_seconds": 120}}},
            "a quantile cannot exceed the last bucket",
            "",
            "below 120",
            id="a latency that no quantile can reach",
        ),
        pytest.param(
            {"CloudErrorRateHigh": {"overrides": [{"model": "gpt-5-mini", "thresholds": {"max_ratio": 0.1}}]}},
            "CloudErrorRateHigh has no label model",
            "",
            "provider, region",
            id="an override by a label that the alarm does not have",
        ),
        pytest.param(
            {"Watchdog": {"severity": "page"}}, "as a page it would never resolve", "", "", id="a page that never ends"
        ),
    ],
)
def test_a_setting_that_no_alarm_has_is_told_in_the_catalog(
    changed_hybrid: Change, settings: dict[str, Any], message: str, suggestion: str, accepted: str
) -> None:
    loaded = changed_hybrid(lambda data: data.update(alarms=settings))
    (problem,) = problems_of(loaded)
    assert message in problem.found
    assert problem.suggestion == suggestion
    assert accepted in problem.accepted
    assert problem.location.file == "changed.yaml"
    assert problem.location.line > 1


def test_the_catalog_changes_severity_owner_for_and_thresholds(changed_hybrid: Change) -> None:
    settings = {"severity": "notify", "owner": "content-ai", "for": "4m", "thresholds": {"min_requests": 7}}
    loaded = changed_hybrid(lambda data: data.update(alarms={"ProviderDown": settings}))
    alarms = {alarm.alarm: alarm for alarm in load_alarms(loaded, Timing(factor=2))}
    down = alarms["ProviderDown"]
    assert (down.severity, down.owner, down.for_) == ("notify", "content-ai", "2m")
    assert ">= 7" in down.expr
    assert alarms["GatewayDown"].owner == "platform"


def test_a_quantile_threshold_just_below_the_last_bucket_is_accepted(changed_hybrid: Change) -> None:
    loaded = changed_hybrid(
        lambda data: data.update(alarms={"ProviderLatencyHigh": {"thresholds": {"min_seconds": 119}}})
    )
    alarms = {alarm.alarm: alarm for alarm in load_alarms(loaded, Timing())}
    assert "119" in alarms["ProviderLatencyHigh"].expr


def raw_durations(text: str) -> list[str]:
    """Durations in what is left of a template once its {{ }} and comments are gone, unit tests and prose aside."""
    text = re.sub(r"\{\{.*?\}\}|\{#.*?#\}", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    # Names such as rate5m and p95_5m are names; [5m], offset 5m and for: 5m are durations.
    return re.findall(
        r"\[\s*\d+\w*[\]:]|offset\s+\d+\w*|^\s*(?:for|keep_firing_for|group_wait|window):\s*\d+\w*", text, re.MULTILINE
    )


TEMPLATES = [
    *sorted(ALERTS.glob("*.j2")),
    *sorted((ALERTS.parent / "recording").glob("*.j2")),
    *sorted((resource_folder("catalogs") / "sources").glob("*.yaml")),
]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_duration_passes_through_the_timing(path: Path) -> None:
    found = [
        duration for duration in raw_durations(path.read_text(encoding="utf-8")) if not re.search(r"\b0s?$", duration)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["expr: rate(x[5m])", "expr: x offset 15m", "for: 1m", "keep_firing_for: 5m", "  window: 1m", "expr: x[5m:1m]"],
)
def test_a_raw_duration_would_be_found(text: str) -> None:
    assert raw_durations(text)


def test_compressed_rules_hold_no_duration_of_real_time(hybrid: LoadedCatalog) -> None:
    """Under a prime factor no duration of the catalog's own time is left anywhere."""
    timing = Timing(factor=11, scrape_interval_s=10, evaluation_interval_s=10)
    for group in rule_file_content(build_rule_groups(hybrid, timing, load_alarms(hybrid, timing)))["groups"]:
        for rule in group["rules"]:
            held = [rule.get(key, "") for key in ("for", "keep_firing_for")]
            text = " ".join([rule["expr"], *held])
            for duration in re.findall(r"(?<![\w.:])\d+[smhd](?:\d+\w+)?\b", text):
                assert duration not in ("1m", "5m", "15m", "1h", "6h", "1d", "7m"), (duration, rule)


@pytest.mark.parametrize("name", NAMES)
def test_every_alarm_says_what_provokes_it_and_stands_in_the_registry(hybrid: LoadedCatalog, name: str) -> None:
    (alarm,) = [alarm for alarm in load_alarms(hybrid, Timing()) if alarm.alarm == name]
    if alarm.severity == HEARTBEAT:
        assert alarm.fault is None
    else:
        assert alarm.fault in FAULTS_BY_NAME
    assert alarm.action.endswith(".")
    assert alarm.sla
    assert "## What to do" in alarm.runbook


def test_the_page_on_alarms_names_every_key_and_every_function(hybrid: LoadedCatalog) -> None:
    text = (ROOT / "docs" / "adding-an-alarm.md").read_text(encoding="utf-8")
    keys = {info.alias or name for name, info in Alarm.model_fields.items()}
    subjects = Subjects.of(hybrid.catalog, "ProviderDown")
    context = alarm_context("ProviderDown", hybrid.catalog, ("provider",), {}, subjects, str)
    names = set(context) | {"duration", "window"}
    # Label sets are named once, by their stems.
    names = {name for name in names if not name.endswith("_region")} - {"no_outage_codes", "series", "labels"}
    assert {key for key in keys if f"`{key}`" not in text} == set()
    assert {name for name in names if not re.search(rf"`?\b{name}\b", text)} == set()


def test_a_condition_says_what_the_catalog_has_put_in_force(changed_hybrid: Callable[..., LoadedCatalog]) -> None:
    def change(data: dict[str, Any]) -> None:
        data["alarms"]["CloudErrorRateHigh"] = {"for": "1h30m", "thresholds": {"max_ratio": 0.125}}
        # What holds for some only is not said of all.
        data["alarms"]["TenantSpendHigh"] = {"overrides": [{"tenant": "acme-corp", "thresholds": {"ratio": 7}}]}

    alarms = {alarm.alarm: alarm for alarm in load_alarms(changed_hybrid(change), Timing(30, 10, 10))}
    condition = alarms["CloudErrorRateHigh"].condition
    assert condition.startswith("More than 12.5 % of")
    assert condition.endswith("for 1 hour 30 minutes.")
    assert "more than 1.5 times" in alarms["TenantSpendHigh"].condition
    assert alarms["ProviderDown"].condition.endswith("has failed for 2 minutes.")
