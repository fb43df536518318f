"""What runs leave behind, read again: coverage, comparison, Markdown and the summary page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import HYBRID, ROOT, Done
from tests.drills.short_drill import SHORT
from tests.drills.synthetic_run import passing_events, spec, without
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.drills.judge.verdict import judge
from tiercli.drills.record.events import AlertSamples, Event, RunEnded, RunStarted, Timeline
from tiercli.drills.record.history import encode_result, last_of_each, read_records, read_result
from tiercli.drills.record.result import Outcome, Result
from tiercli.drills.record.run_folder import RESULT, SPEC, TIMELINE
from tiercli.drills.record.timeline_file import encode_event
from tiercli.drills.report.summary import render_summary
from tiercli.errors import InvalidInput
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.rules.fingerprints import rule_fingerprints

Run = Callable[..., Done]
Change = Callable[[Callable[[dict[str, Any]], None]], LoadedCatalog]
PASSED = judge(spec(), Timeline(passing_events()))
FAILED = judge(spec(), Timeline(without(passing_events(), AlertSamples)))


def keep(folder: Path, name: str, result: Result, **changes: object) -> Path:
    """A run's folder with its result."""
    place = folder / name
    place.mkdir(parents=True)
    (place / RESULT).write_text(encode_result(replace(result, **changes)))  # type: ignore[arg-type]
    return place


def named(result: Result, drill: str, alert: str, **changes: Any) -> Result:
    """The same result of another drill, about another alarm; of hybrid.yaml, and its rules."""
    of = {"estate": "content-company", "env": "production", "rules": fingerprints()}
    expectations = tuple(replace(one, alert=alert) for one in result.expectations)
    return replace(result, drill=drill, expectations=expectations, **(of | changes))


@cache
def fingerprints() -> dict[str, str]:
    """Of the rules of hybrid.yaml."""
    loaded = load_catalog(HYBRID)
    return rule_fingerprints(loaded, load_alarm_set(loaded, timing_of(loaded.catalog)))


def test_the_synthetic_runs_are_what_these_tests_need() -> None:
    assert (PASSED.outcome, FAILED.outcome) == (Outcome.PASSED, Outcome.FAILED)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = keep(tmp_path, "a", PASSED) / RESULT
    again = read_result(path)
    assert json.loads(encode_result(again)) == json.loads(path.read_text())
    assert again.expectations[0].outcome is Outcome.PASSED


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"drill": 3}'])
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_records(tmp_path)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no run"):
        read_records(tmp_path)


def test_the_last_run_of_each_drill_counts(tmp_path: Path) -> None:
    keep(tmp_path, "b", FAILED, started_at=100.0)
    keep(tmp_path, "a", PASSED, started_at=200.0)
    keep(tmp_path, "c", named(FAILED, "other", "GatewayDown"), started_at=50.0)
    last = last_of_each(read_records(tmp_path))
    assert {drill: record.result.outcome for drill, record in last.items()} == {
        PASSED.drill: Outcome.PASSED,
        "other": Outcome.FAILED,
    }


def test_an_alarm_is_proven_by_unit_tests_and_by_a_drill_that_passed_when_it_last_ran(
    run_tiercli: Run, tmp_path: Path
) -> None:
    said = json.loads(run_tiercli("drill", "coverage", "--runs", str(tmp_path / "none"), "--format", "json").stdout)
    assert said["proven"] == 0
    count = (
        len(list((ROOT / "templates" / "alerts").glob("*.yml.j2"))) - 1
    )  # without Watchdog, which every drill proves
    assert len(said["alarms"]) == count
    assert all(one["unit_tests"] > 0 and one["proofs"] for one in said["alarms"])  # every alarm has a drill
    keep(tmp_path, "a", named(PASSED, "provider-outage", "ProviderDown"))
    keep(tmp_path, "b", named(FAILED, "gateway-outage", "GatewayDown"))
    done = run_tiercli("drill", "coverage", "--runs", str(tmp_path), "--format", "json", "--check")
    rows = {one["alarm"]: one for one in json.loads(done.stdout)["alarms"]}
    assert [name for name, one in rows.items() if one["proven"]] == ["ProviderDown"]
    proof = next(one for one in rows["ProviderDown"]["proofs"] if one["drill"] == "provider-outage")
    took = PASSED.expectations[0].detection.time_to_detect_s
    assert proof["detected_s"] == pytest.approx(took, abs=0.001)
    assert rows["GatewayDown"]["proofs"][0]["outcome"] == "failed"
    assert done.returncode == 1
    assert f"{count - 1} of {count} alarms are not proven" in done.stderr


@pytest.mark.parametrize(
    ("changes", "arguments", "proven", "said"),
    [
        ({}, (), 1, "passed "),
        ({"estate": "minimal"}, (), 0, "never ran"),
        ({"env": "staging"}, (), 0, "never ran"),
        ({"estate": ""}, (), 0, "never ran"),  # a record that does not say of which
        ({"rules": {"ProviderDown": "0123456789abcdef"}}, (), 0, "passed, changed since"),
        ({"rules": {}}, (), 0, "passed, changed since"),
        ({"started_at": 1.0}, ("--max-age", "100d"), 0, "passed, too old"),
        ({"started_at": 1.0}, ("--max-age", "100y"), 1, "passed "),
    ],
    ids=["its own", "another estate", "another environment", "of nobody", "another rule", "no rule", "too old", "old enough"],
)  # fmt: skip
def test_what_proves_an_alarm_is_of_this_estate_this_rule_and_this_quarter(
    run_tiercli: Run, tmp_path: Path, changes: dict[str, Any], arguments: tuple[str, ...], proven: int, said: str
) -> None:
    keep(tmp_path, "a", named(PASSED, "provider-outage", "ProviderDown", **changes))
    command = ("drill", "coverage", "--runs", str(tmp_path), *arguments)
    assert json.loads(run_tiercli(*command, "--format", "json").stdout)["proven"] == proven
    row = next(line for line in run_tiercli(*command).stdout.splitlines() if "provider-outage" in line)
    assert said in row


def test_a_drill_that_does_not_apply_is_no_proof_that_is_missing_but_one_that_cannot_be(
    run_tiercli: Run, tmp_path: Path
) -> None:
    minimal = str(HYBRID.with_name("minimal.yaml"))
    done = run_tiercli("drill", "coverage", "--runs", str(tmp_path / "none"), "--catalog", minimal, "--check")
    assert done.returncode == 1
    assert "not applicable" in next(line for line in done.stdout.splitlines() if "cloud-errors" in line)
    assert "no drill applies to CloudErrorRateHigh, Drift, TenantBudgetForecast, " in done.stderr


def test_how_old_a_run_may_be_is_a_duration(run_tiercli: Run) -> None:
    done = run_tiercli("drill", "coverage", "--max-age", "a quarter")
    assert done.returncode == 2
    assert "'a quarter' is not a duration" in done.stderr


def test_a_fingerprint_is_of_the_rule_and_of_what_it_reads(changed_hybrid: Change) -> None:
    def other(alarm: str, change: Callable[[dict[str, Any]], None]) -> bool:
        loaded = changed_hybrid(change)
        now = rule_fingerprints(loaded, load_alarm_set(loaded, timing_of(loaded.catalog)))
        return now[alarm] != fingerprints()[alarm]

    def threshold(content: dict[str, Any]) -> None:
        content["alarms"]["CloudErrorRateHigh"] = {"thresholds": {"max_ratio": 0.07}}

    def typical(content: dict[str, Any]) -> None:
        content["providers"]["openai"]["regions"]["ap-south-1"]["typical"]["p95_seconds"] = 0.7

    def contact(content: dict[str, Any]) -> None:
        content["owners"]["platform"]["contact"] = "#another"

    assert other("CloudErrorRateHigh", threshold)
    assert not other("ProviderDown", threshold)
    assert other("ProviderLatencyHigh", typical)  # by a constant that it reads
    assert not other("ProviderDown", contact)


def test_quarters_are_compared_in_estate_time(run_tiercli: Run, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    keep(before, "a", PASSED, factor=30.0)
    keep(after, "a", PASSED, factor=60.0)
    keep(before, "b", named(PASSED, "other", "GatewayDown"))
    keep(after, "c", named(PASSED, "new", "ZoneViolation"))
    done = run_tiercli("drill", "compare", str(before), str(after), "--format", "json")
    rows = {one["drill"]: one for one in json.loads(done.stdout)}
    took = PASSED.expectations[0].detection.time_to_detect_s
    assert took is not None
    assert rows[PASSED.drill]["slower_s"] == pytest.approx(30 * took, abs=0.1)
    assert (rows["new"]["before"], rows["new"]["after"]) == (None, "passed")
    assert rows["other"]["worse"]
    assert done.returncode == 1
    assert "proven before, not proven now: GatewayDown (other)" in done.stderr
    text = run_tiercli("drill", "compare", str(before), str(before))
    assert text.returncode == 0
    assert "passed" in text.stdout


def test_markdown_escapes_what_a_drill_is_called(run_tiercli: Run, tmp_path: Path) -> None:
    keep(tmp_path, "a", named(PASSED, "a|b <img src=x>", "GatewayDown"))
    done = run_tiercli("drill", "compare", str(tmp_path), str(tmp_path), "--format", "github")
    assert "a\\|b &lt;img src=x>" in done.stdout
    assert "<img" not in done.stdout


def test_the_summary_names_every_drill_links_its_report_and_says_what_did_not_pass(tmp_path: Path) -> None:
    keep(tmp_path, "run a#1", PASSED)
    keep(tmp_path, "b", replace(named(FAILED, "other", "GatewayDown"), reasons=("<script>alert(1)</script>",)))
    page = render_summary(read_records(tmp_path))
    assert "1 of 2 passed" in page
    assert 'href="run%20a%231/report.html"' in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")  # opens offline


def run_left_behind(folder: Path, events: list[Event], *, cut: bytes = b"", spec_file: bool = False) -> Path:
    """A run's folder as a drill leaves it that is killed: a timeline, and nothing that is written last."""
    folder.mkdir(parents=True)
    lines = "".join(encode_event(event) + "\n" for event in events)
    (folder / TIMELINE).write_bytes(lines.encode() + cut)
    if spec_file:
        (folder / SPEC).write_text(yaml.safe_dump(SHORT))
    return folder


def begun(events: list[Event]) -> list[Event]:
    """The events of a run whose beginning says what was to be done, as that of every run does."""
    return [replace(one, spec=SHORT) if isinstance(one, RunStarted) else one for one in events]


def test_a_run_that_was_killed_is_drawn_from_its_timeline_alone(run_tiercli: Run, tmp_path: Path) -> None:
    events = begun(without(passing_events(), RunEnded))[:40]
    killed = run_left_behind(tmp_path / "killed", events, cut='{"kind":"load","at":1,"é'.encode()[:-1])
    done = run_tiercli("drill", "report", str(killed))
    assert done.returncode == 3, done.stderr
    assert done.stdout == f"inconclusive: {killed}/report.html\n"
    assert "was never cleared" in (killed / "report.html").read_text()
    assert read_result(killed / RESULT).drill == "short-outage"
    assert yaml.safe_load((killed / SPEC).read_text())["name"] == "short-outage"


@pytest.mark.parametrize("form", ["text", "github"])
def test_runs_that_cannot_be_read_do_not_keep_the_others_from_being_drawn(
    run_tiercli: Run, tmp_path: Path, form: str
) -> None:
    run_left_behind(tmp_path / "a", [])  # killed before the drill began
    (run_left_behind(tmp_path / "b", passing_events()) / SPEC).write_text("name: [")
    run_left_behind(tmp_path / "c", begun(passing_events()), cut=b"\xff\n")
    passed = run_left_behind(tmp_path / "d", passing_events(), spec_file=True)
    done = run_tiercli("drill", "report", str(tmp_path), "--format", form)
    assert done.returncode == 2
    assert "3 of 4 runs cannot be read" in done.stderr
    assert f"{tmp_path}/a/timeline.jsonl: it ends before the drill began" in done.stderr
    assert f"{tmp_path}/b/drill.yaml:" in done.stderr
    assert f"{tmp_path}/c/timeline.jsonl:{len(passing_events()) + 1}: not a timeline event" in done.stderr
    assert read_result(passed / RESULT).outcome is Outcome.PASSED
    assert (passed / "report.html").is_file()
    if form == "text":
        assert f"passed: {passed}/report.html" in done.stdout
        assert "1 of 1 passed" in (tmp_path / "summary.html").read_text()
    else:
        assert "short-outage" in done.stdout


def test_no_drill_or_all_of_them(run_tiercli: Run) -> None:
    for arguments in ((), ("provider-outage", "--all")):
        done = run_tiercli("drill", "run", *arguments)
        assert done.returncode == 2
        assert "--all" in done.stderr
