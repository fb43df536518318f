"""A drill fails when the alarm would fail, and proves nothing when the environment fails. Whole drills, real parts."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.drills.short_drill import run_short
from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.drills.judge.panels import panels_read
from tiercli.drills.record.events import Event, FaultApplied, FaultCleared, PhaseStarted
from tiercli.drills.record.result import Outcome
from tiercli.drills.record.timeline_file import load_timeline
from tiercli.drills.run import one as runner
from tiercli.errors import BackendError, ExitCode
from tiercli.output.tree import ALERTMANAGER_FILE, RULES_PATH
from tiercli.signals.boards import load_boards

pytestmark = [pytest.mark.drill, pytest.mark.stack]

# For runs whose outcome is known before anything could resolve.
BRIEF = {"steady": "1m", "fault": "3m", "recovery": "30s"}


def edit_rules(tree: dict[str, str], change: object) -> dict[str, str]:
    """The tree with each alert rule passed through `change`, which returns it, changed, or None to remove it."""
    rules = yaml.safe_load(tree[RULES_PATH])
    for group in rules["groups"]:
        group["rules"] = [
            kept
            for rule in group["rules"]
            if (kept := change(rule) if "alert" in rule else rule) is not None  # type: ignore[operator]
        ]
    return tree | {RULES_PATH: yaml.safe_dump(rules, sort_keys=False)}


def process_named(name: str) -> int:
    """The pid of this test's own sandboxed process: a child of a child of ours, by its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                status = (entry / "status").read_text()
            except OSError:
                continue
            parent = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid"))
            if name in command and is_ours(int(parent)):
                return int(entry.name)
    raise AssertionError(f"no process {name}")


def is_ours(pid: int) -> bool:
    """Whether `pid` is this process or below it."""
    while pid > 1:
        if pid == os.getpid():
            return True
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid")))
    return False


def kill_during_fault(name: str) -> Callable[[Event], None]:
    """An event handler that kills a process of the sandbox once the fault is on."""

    def on_event(event: Event) -> None:
        if isinstance(event, FaultApplied):
            os.kill(process_named(name), signal.SIGKILL)

    return on_event


# Panels that have nothing to say while one provider is down, and why; tests/drills/test_every_panel.py makes them speak.
SILENT = {
    # What did not happen.
    *(
        ("provider", "Unclassified errors"),
        ("alias", "Postcondition violations"),
        ("compliance", "Violations by tenant"),
    ),
    *((board, "Firing alarms") for board in ("alias", "tenant", "drift", "local")),
    # A gateway that names its offers has no deployments.
    ("health", "Attempts outside the catalog"),
    # Words.
    ("health", "Drills"),
}


def test_passes_when_all_is_well_and_leaves_nothing_behind(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    where = {"provider": "anthropic", "region": "ap-south-1"}
    run = run_short(hybrid, tmp_path, evidence=[{"dashboard": "provider", "panel": "Error rate", "row": where}])

    assert run.result.outcome is Outcome.PASSED, run.result.reasons
    assert [step.name for step in run.result.evidence] == [
        "panel provider/Error rate shows it",
        "heartbeat received",
    ]
    detection = run.result.expectations[0].detection
    assert detection.above_floor_s is not None
    assert detection.tolerance_s is not None
    # What the floor says is unavoidable; not a speed of this machine: both sides come from Prometheus' own samples.
    assert -detection.tolerance_s <= detection.above_floor_s
    files = {path.name for path in run.folder.iterdir()}
    assert files == {"timeline.jsonl", "drill.yaml", "result.json", "junit.xml", "report.html", "configuration"}
    assert json.loads((run.folder / "result.json").read_text())["outcome"] == "passed"
    assert "ProviderDown" in (run.folder / "report.html").read_text()
    timeline = load_timeline(run.folder / "timeline.jsonl")
    assert len(list(timeline.of(FaultApplied))) == len(list(timeline.of(FaultCleared))) == 1
    assert [phase.phase for phase in timeline.of(PhaseStarted)] == ["steady", "fault", "recovery"]
    with pytest.raises(AssertionError, match="no process"):
        process_named("tiercli-sandbox-")


def test_fails_when_the_alarm_is_removed_from_the_rules(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    def remove(rule: dict[str, str]) -> dict[str, str] | None:
        return None if rule["alert"] == "ProviderDown" else rule

    run = run_short(hybrid, tmp_path, edit_tree=lambda tree: edit_rules(tree, remove), phases=BRIEF)

    assert run.result.outcome is Outcome.FAILED
    assert "ProviderDown: it never fired" in run.result.reasons
    assert run.result.outcome.exit_code is ExitCode.CHECK_FAILED


def test_fails_when_the_threshold_is_out_of_reach(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    text = Path(hybrid.document.name).read_text(encoding="utf-8")
    unreachable = text.replace("alarms:\n", "alarms:\n  ProviderDown: {thresholds: {min_requests: 1000000}}\n", 1)

    run = run_short(parse_catalog(unreachable, "unreachable.yaml"), tmp_path, phases=BRIEF)

    assert run.result.outcome is Outcome.FAILED
    assert "ProviderDown: it never fired" in run.result.reasons


def test_fails_when_the_receiver_is_not_reached(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    def misdirect(tree: dict[str, str]) -> dict[str, str]:
        text = tree[ALERTMANAGER_FILE]
        assert "/platform-pager" in text
        # A receiver whose URL leads nowhere, as with a revoked key.
        return tree | {ALERTMANAGER_FILE: text.replace("/platform-pager", "/no/such/path")}

    run = run_short(hybrid, tmp_path, edit_tree=misdirect, phases=BRIEF)

    assert run.result.outcome is Outcome.FAILED
    assert any("no notification reached platform-pager" in reason for reason in run.result.reasons)


def test_fails_when_an_unexpected_alarm_fires(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    def always(rule: dict[str, object]) -> dict[str, object]:
        if rule["alert"] == "CloudErrorRateHigh":
            rule["expr"] = 'max by (provider, region) (tier:provider:info{provider="openai"})'
            rule.pop("for")
        return rule

    run = run_short(hybrid, tmp_path, edit_tree=lambda tree: edit_rules(tree, always), phases=BRIEF)

    assert run.result.outcome is Outcome.FAILED
    assert [other.alert for other in run.result.unexpected] == ["CloudErrorRateHigh"]
    assert run.result.unexpected[0].labels["provider"] == "openai"


def test_fails_when_the_alarm_does_not_resolve(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    def hold(rule: dict[str, str]) -> dict[str, str]:
        return rule | {"keep_firing_for": "1h"} if rule["alert"] == "ProviderDown" else rule

    # Every other panel of every dashboard must have something to say while a fault is on and an alarm fires.
    panels = {
        (name, title) for name, board in load_boards(hybrid.catalog).items() for title in board.panel_ids()
    } - SILENT
    assert len(panels) > 80
    evidence = [{"dashboard": name, "panel": title} for name, title in sorted(panels)]
    phases = {"steady": "1m", "fault": "4m", "recovery": "11m"}
    everyone = {"arrivals_per_second": 60, "mix": {"aliases": {"smart-reasoner": 8, "chat": 1, "summariser": 2}}}
    run = run_short(
        hybrid,
        tmp_path,
        edit_tree=lambda tree: edit_rules(tree, hold),
        evidence=evidence,
        phases=phases,
        load=everyone,
    )

    assert run.result.outcome is Outcome.FAILED
    assert run.result.reasons[0] == "ProviderDown: it did not resolve"
    read = list(panels_read(load_timeline(run.folder / "timeline.jsonl")))
    assert {(one.dashboard, one.panel) for one in read if one.rows} == panels
    # Most of them show what they always do: that is no evidence of the fault.
    said = " ".join(run.result.reasons)
    assert "panel home/Gateway instances shows 1 while the fault is on, and 1 before it" in said
    assert "provider/Error rate" not in said


@pytest.mark.parametrize("server", ["prometheus", "alertmanager"])
def test_proves_nothing_when_a_server_dies_during_the_run(hybrid: LoadedCatalog, tmp_path: Path, server: str) -> None:
    run = run_short(hybrid, tmp_path, on_event=kill_during_fault(f"{server}.yml"))

    assert run.result.outcome is Outcome.INCONCLUSIVE
    assert run.result.outcome.exit_code is ExitCode.ENVIRONMENT_FAILED
    assert any(f"{server} failed during the run" in reason for reason in run.result.reasons), run.result.reasons
    assert (run.folder / "report.html").is_file()


def test_proves_nothing_when_the_load_does_not_arrive(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    idle = tmp_path / "idle.py"
    idle.write_text(
        "from locust import User, constant, task\n\nclass Idle(User):\n    wait_time = constant(1)\n\n    @task\n    def nothing(self):\n        pass\n"
    )
    load = {"arrivals_per_second": 60, "locustfile": str(idle)}

    run = run_short(hybrid, tmp_path, load=load)

    assert run.result.outcome is Outcome.INCONCLUSIVE
    assert any("no load arrived" in reason for reason in run.result.reasons)


@pytest.mark.parametrize("phase", ["steady", "fault", "recovery"])
def test_ctrl_c_clears_the_fault_and_writes_the_report(hybrid: LoadedCatalog, tmp_path: Path, phase: str) -> None:
    def interrupt(event: Event) -> None:
        if (isinstance(event, PhaseStarted) and event.phase == phase != "fault") or (
            isinstance(event, FaultApplied) and phase == "fault"
        ):
            os.kill(os.getpid(), signal.SIGINT)

    run = run_short(hybrid, tmp_path, on_event=interrupt)

    assert run.result.interrupted
    assert run.result.outcome is Outcome.INCONCLUSIVE
    timeline = load_timeline(run.folder / "timeline.jsonl")
    assert len(list(timeline.of(FaultApplied))) == len(list(timeline.of(FaultCleared))) == (phase != "steady")
    assert "interrupted by Ctrl-C" in (run.folder / "report.html").read_text()


def test_ctrl_c_while_the_record_is_read_is_not_lost(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    def interrupt(text: str) -> None:
        if text.startswith("reading Prometheus"):
            os.kill(os.getpid(), signal.SIGINT)

    quiet: dict[str, Any] = {"alarms": [], "faults": [], "expect": [], "phases": {"steady": "1m"}}
    run = run_short(hybrid, tmp_path, on_say=interrupt, **quiet)

    assert run.result.interrupted
    assert run.result.outcome is Outcome.INCONCLUSIVE


def test_a_full_disk_stops_the_run_and_is_told(
    hybrid: LoadedCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "TIMELINE", "/dev/full")  # the kernel's own: every write is refused

    run = run_short(hybrid, tmp_path)

    assert isinstance(run.error, BackendError)
    assert "no space left on device" in run.error.message
    assert run.error.exit_code is ExitCode.ENVIRONMENT_FAILED
    assert run.result.outcome is not Outcome.PASSED
    with pytest.raises(AssertionError, match="no process"):
        process_named("tiercli-sandbox-")
