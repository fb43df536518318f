"""Which drills share a sandbox, and that one which does starts from quiet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.drills.short_drill import Recorder, short_spec
from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.record.events import RunStarted
from tiercli.drills.record.result import Outcome, Result
from tiercli.drills.record.run_folder import TIMELINE
from tiercli.drills.record.timeline_file import load_timeline
from tiercli.drills.run import several
from tiercli.drills.run.request import DrillRun, RunRequest
from tiercli.drills.run.several import run_drills, shared_groups
from tiercli.drills.sites.estate import build_estate
from tiercli.drills.sites.sandbox import DrillSandbox
from tiercli.drills.spec.cast import cast_drills
from tiercli.drills.spec.files import drill_files
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import FaultNotReverted
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.sandbox.stack.binaries import StackBinaries, find_stack

QUIET: dict[str, Any] = {"alarms": [], "expect": [], "faults": [], "phases": {"steady": "2m"}}


def order(loaded: LoadedCatalog, spec: DrillSpec, runs: Path, stack: StackBinaries) -> RunRequest:
    return RunRequest(spec, build_estate(loaded, spec.factor, (), spec.sandbox), stack, runs)


def test_drills_share_a_sandbox_that_would_be_the_same(
    hybrid: LoadedCatalog, tmp_path: Path, stack: StackBinaries
) -> None:
    specs = {
        "a": short_spec(name="a"),
        "fast": short_spec(name="fast", factor=60),
        "stays": short_spec(
            name="stays",
            expect=[
                {"alert": "GatewayDown", "severity": "page", "receiver": "platform-pager", "firing_within": "2m"},
            ],
        ),
        "b": short_spec(name="b"),
        "small": short_spec(name="small", sandbox={"local_concurrency": 4}),
        "busy": short_spec(name="busy", load={"arrivals_per_second": 20}),
    }
    groups = shared_groups([order(hybrid, spec, tmp_path, stack) for spec in specs.values()])
    # What leaves an alert behind comes last.
    assert [[one.spec.name for one in group] for group in groups] == [
        ["a", "b", "stays"],
        ["fast"],
        ["small"],
        ["busy"],
    ]


def test_all_drills_there_are_run_in_a_sandbox_for_each_factor_and_some_of_their_own(
    hybrid: LoadedCatalog, tmp_path: Path, stack: StackBinaries
) -> None:
    alarms = load_alarm_set(hybrid, timing_of(hybrid.catalog))
    specs = [done.spec for done in cast_drills(drill_files().values(), hybrid, alarms)]
    estates = {
        (spec.factor, spec.sandbox): build_estate(hybrid, spec.factor, (), spec.sandbox) for spec in _alike(specs)
    }
    orders = [RunRequest(spec, estates[spec.factor, spec.sandbox], stack, tmp_path) for spec in specs]
    # A queue, a quota, budgets that are nearly used, instances enough to restart one after the other, and half the load.
    assert len(shared_groups(orders)) == 3 + 5


def test_where_a_room_is_free_half_of_what_waits_elsewhere_goes_there(
    hybrid: LoadedCatalog, tmp_path: Path, stack: StackBinaries
) -> None:
    requests = [order(hybrid, short_spec(name=name), tmp_path, stack) for name in "abcde"]
    alone = order(hybrid, short_spec(name="alone", factor=60), tmp_path, stack)
    groups = several._Groups([requests, [alone]])

    def names(group: deque[RunRequest] | None) -> str:
        return " ".join(request.spec.name for request in group or ())

    first, second = groups.next(), groups.next()
    assert (names(first), names(second)) == ("a b c d e", "alone")
    assert first is not None
    first.popleft()  # it runs
    assert second is not None
    second.popleft()
    third = groups.next()
    assert (names(first), names(third)) == ("b c", "d e")
    assert names(groups.next()) == "c"
    assert names(groups.next()) == "e"
    assert groups.next() is None


def test_a_drill_that_the_machine_had_no_time_for_is_run_again_alone(
    hybrid: LoadedCatalog, tmp_path: Path, stack: StackBinaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[str] = []
    left_on: list[FaultNotReverted] = []

    async def run_drill(request: RunRequest, view: object, shared: object) -> DrillRun:
        name = request.spec.name
        began.append(name)
        starved = name == "starved" and began.count(name) == 1
        outcome = Outcome.INCONCLUSIVE if starved else Outcome.PASSED
        result = Result(
            drill=name, outcome=outcome, reasons=("busy",), started_at=0, ended_at=1, factor=1, starved=starved
        )
        return DrillRun(tmp_path, result, left_on[0] if starved and left_on else None)

    monkeypatch.setattr(several, "run_drill", run_drill)
    specs = [
        short_spec(name=name, load={"arrivals_per_second": rate}) for rate, name in enumerate(("starved", "a", "b"), 1)
    ]
    requests = [order(hybrid, spec, tmp_path, stack) for spec in specs]

    async def outcomes(parallel: int) -> list[tuple[str, Outcome]]:
        began.clear()
        runs = run_drills(requests, lambda request: nullcontext(Recorder()), parallel=parallel)
        return [(run.result.drill, run.result.outcome) async for run in runs]

    assert asyncio.run(outcomes(2)) == [(name, Outcome.PASSED) for name in ("a", "b", "starved")]
    assert began == ["starved", "a", "b", "starved"]
    # What could not be undone is told at once, whatever else there is to say.
    left_on.append(FaultNotReverted("a fault may still be on"))
    assert asyncio.run(outcomes(2))[0] == ("starved", Outcome.INCONCLUSIVE)
    assert began == ["starved", "a", "b"]
    left_on.clear()
    # With nothing beside it, once more would be no better.
    assert asyncio.run(outcomes(1))[0] == ("starved", Outcome.INCONCLUSIVE)
    assert began == ["starved", "a", "b"]


def _alike(specs: list[DrillSpec]) -> list[DrillSpec]:
    """One of each that has an estate of its own."""
    return list({(spec.factor, spec.sandbox): spec for spec in specs}.values())


def test_what_arrives_between_two_drills_is_nobodys_and_a_process_that_ends_there_is_told_to_the_next(
    hybrid: LoadedCatalog, stack: StackBinaries
) -> None:
    async def scenario() -> None:
        async with DrillSandbox(build_estate(hybrid, 30), stack) as shared:
            heard: list[object] = []

            def drill(name: str) -> Any:
                return shared.reporting_to(
                    lambda process, code: heard.append((name, process, code)),
                    lambda notification: heard.append((name, notification.receiver)),
                )

            async with httpx.AsyncClient(trust_env=False) as alertmanager:

                async def notify(receiver: str) -> int:
                    alerts = [{"status": "firing", "labels": {}, "annotations": {}}]
                    payload = {
                        "version": "4",
                        "groupKey": "g",
                        "groupLabels": {},
                        "receiver": receiver,
                        "status": "firing",
                        "alerts": alerts,
                    }
                    url = f"{shared.sandbox.addresses.receiver_url}/{receiver}"
                    return (await alertmanager.post(url, json=payload)).status_code

                async with drill("first"):
                    assert await notify("a") == 200
                assert await notify("b") == 200  # accepted, so that it is not sent again
                shared._exited("prometheus", 1)
                async with drill("second"):
                    assert await notify("c") == 200
            assert heard == [("first", "a"), ("second", "prometheus", 1), ("second", "c")]

    asyncio.run(scenario())


@pytest.mark.drill
def test_two_drills_run_in_one_sandbox_and_each_has_its_own_record(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    orders = [order(hybrid, short_spec(name=name, **QUIET), tmp_path, find_stack()) for name in ("first", "second")]

    @contextmanager
    def view(_: RunRequest) -> Iterator[Recorder]:
        yield Recorder()

    async def run() -> list[Any]:
        return [done async for done in run_drills(orders, view)]

    runs = asyncio.run(run())
    assert [(done.result.drill, done.result.outcome) for done in runs] == [
        ("first", Outcome.PASSED),
        ("second", Outcome.PASSED),
    ]
    started = [load_timeline(done.folder / TIMELINE).first(RunStarted) for done in runs]
    assert [one is not None and one.shared for one in started] == [False, True]


@pytest.mark.drill
def test_two_sandboxes_at_once_do_not_get_in_each_others_way(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    fast, small = short_spec(name="fast", factor=60, **QUIET), short_spec(name="small", **QUIET)
    orders = [order(hybrid, spec, tmp_path, find_stack()) for spec in (fast, small)]

    @contextmanager
    def view(_: RunRequest) -> Iterator[Recorder]:
        yield Recorder()

    async def run() -> list[Any]:
        return [done async for done in run_drills(orders, view, parallel=2)]

    runs = asyncio.run(run())
    assert {done.result.drill: done.result.outcome for done in runs} == {
        "fast": Outcome.PASSED,
        "small": Outcome.PASSED,
    }
    one, other = (done.result for done in runs)
    assert max(one.started_at, other.started_at) < min(one.ended_at, other.ended_at)
