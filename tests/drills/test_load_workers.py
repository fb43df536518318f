"""A load that is spread over workers: the same load, and what happens when one of them is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.drills.short_drill import Recorder, short_spec
from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.load.locust import Workers
from tiercli.drills.record.events import Event, LoadWindow, PhaseStarted, WorkerLost
from tiercli.drills.record.result import Outcome
from tiercli.drills.run.one import run_drill
from tiercli.drills.run.request import DrillRun, RunRequest
from tiercli.drills.sites.estate import build_estate
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.stack.binaries import find_stack

QUIET: dict[str, Any] = {"alarms": [], "expect": [], "faults": [], "phases": {"steady": "6m"}}


def run_with_workers(loaded: LoadedCatalog, runs: Path, view: Recorder) -> DrillRun:
    spec = short_spec(**QUIET)
    order = RunRequest(spec, build_estate(loaded, spec.factor), find_stack(), runs, workers=Workers(here=2))
    return asyncio.run(run_drill(order, view))


def workers() -> list[psutil.Process]:
    """The workers that this test has started, by way of the supervisor."""
    return [one for one in psutil.Process().children(recursive=True) if "--worker" in one.cmdline()]


@pytest.mark.drill
def test_a_load_of_two_workers_survives_the_loss_of_one_and_says_so(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    def kill_one(event: Event) -> None:
        if isinstance(event, PhaseStarted):
            found = workers()
            assert len(found) == 2
            os.kill(found[0].pid, signal.SIGKILL)

    view = Recorder(kill_one)
    done = run_with_workers(hybrid, tmp_path, view)
    windows = [event for event in view.events if isinstance(event, LoadWindow)]
    assert max(window.workers for window in windows) == 2
    assert windows[-1].workers == 1
    assert [(event.left, event.of) for event in view.events if isinstance(event, WorkerLost)] == [(1, 2)]
    load = done.result.load
    assert load is not None
    assert "of 2 workers 1 were left" in load.message
    # Its half of the users moves to the other: whether that was enough is what the verdict says.
    assert load.sufficient == (done.result.outcome is Outcome.PASSED)
    assert windows[-1].started > 0
    assert workers() == []


@pytest.mark.slow
@pytest.mark.drill
def test_a_worker_that_comes_from_elsewhere_does_its_part(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    spec = short_spec(**QUIET)
    with PortAllocator() as allocate:
        port = allocate()
    sharing = Workers(here=1, elsewhere=1, host="127.0.0.1", port=port)
    order = RunRequest(spec, build_estate(hybrid, spec.factor), find_stack(), tmp_path, workers=sharing)
    command = [sys.executable, "-m", "tiercli", "drill", "worker", "--master", "127.0.0.1", "--port", str(port)]
    # It is started before its master, and not told any plan.
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        view = Recorder()
        done = asyncio.run(run_drill(order, view))
        said, _ = worker.communicate(timeout=30)  # it ends with its master
    finally:
        worker.kill()
        worker.communicate()
    windows = [event for event in view.events if isinstance(event, LoadWindow)]
    assert done.result.outcome is Outcome.PASSED, (done.result.reasons, said)
    assert max(window.workers for window in windows) == 2
    assert not [event for event in view.events if isinstance(event, WorkerLost)]
