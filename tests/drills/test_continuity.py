"""What makes a record no proof, and what does not: scrapes that are missing, a slow command, a watcher that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.drills.short_drill import short_spec
from tests.drills.synthetic_run import spec
from tiercli.clients.prometheus import Series
from tiercli.conventions import GATEWAY_JOB, SERVERS_JOB
from tiercli.drills.record.events import Event, FaultApplied, FaultCleared
from tiercli.drills.run.faults import applied_fault
from tiercli.drills.sites.continuity import Clock, read_gaps, read_starved
from tiercli.drills.spec.model import DrillSpec, FaultUse

SCRAPE_S = 10.0
WHOLE = [(float(at), 1.0) for at in range(0, 301, 10)]


class Recorded:
    """In Prometheus' place: the samples of `up` by job."""

    def __init__(self, series: Mapping[str, list[tuple[float, float]]]) -> None:
        self._series = series

    async def raw_samples(self, selector: str, window_s: float, at: float) -> list[Series]:
        return [
            Series({"instance": f"{job}:1"}, tuple(points))
            for job, points in self._series.items()
            if f'"{job}"' in selector
        ]


def gaps(
    points: list[tuple[float, float]] | None, reports_exits: bool = False, wanted: DrillSpec | None = None
) -> list[str]:
    series = {} if points is None else {GATEWAY_JOB: points}
    recorded: Any = Recorded(series | {SERVERS_JOB: WHOLE})
    return asyncio.run(read_gaps(recorded, wanted or spec(), reports_exits, 0, 300, SCRAPE_S))


def down(begin: float, end: float) -> list[tuple[float, float]]:
    return [(at, 0.0 if begin <= at <= end else value) for at, value in WHOLE]


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (WHOLE, ""),
        ([one for one in WHOLE if not 100 <= one[0] <= 120], "was not scraped for 40.0 s"),
        ([one for one in WHOLE if one[0] <= 200], "was not scraped for 100.0 s"),
        (down(100, 110), ""),
        (down(100, 130), "did not answer scrapes for 50.0 s"),
        (down(0, 300), "did not answer scrapes for 300.0 s"),
        (None, f"nothing of the job {GATEWAY_JOB} was scraped"),
    ],
    ids=["whole", "a gap", "none at the end", "a blink", "down for a while", "down throughout", "no target"],
)
def test_scrapes_that_are_missing_are_a_doubt(points: list[tuple[float, float]] | None, said: str) -> None:
    found = gaps(points)
    assert bool(found) == bool(said), found
    assert not said or said in found[0]


def test_targets_that_the_drill_takes_away_are_none() -> None:
    takes = short_spec(faults=[{"fault": "gateway-down"}])
    assert gaps(down(100, 200), wanted=takes) == []
    assert gaps(down(100, 200), reports_exits=True) == []
    assert gaps(down(100, 200)) != []


def starved(points: list[tuple[float, float]], wanted: DrillSpec | None = None, *, longest_s: float = 0.5) -> list[str]:
    of = {"up": points, "scrape_duration_seconds": [(0.0, 0.1), (10.0, longest_s), (20.0, 6.0), (30.0, 5.5)]}

    class All(Recorded):
        async def raw_samples(self, selector: str, window_s: float, at: float) -> list[Series]:
            name = selector.partition("{")[0]
            return [Series({"job": GATEWAY_JOB, "instance": "a:1"}, tuple(of[name]))]

    recorded: Any = All({})
    return asyncio.run(read_starved(recorded, wanted or spec(), 0, 300, SCRAPE_S))


def test_a_target_of_a_sandbox_that_answers_late_is_told_unless_the_drill_takes_it_away() -> None:
    assert starved(WHOLE) == starved(down(100, 110)) == []
    (message,) = starved(down(100, 130))
    assert message == f"a:1 of {GATEWAY_JOB} did not answer scrapes for 50.0 s: this machine is too busy for the drill"
    (message,) = starved(WHOLE, longest_s=7)
    assert message.startswith(f"a:1 of {GATEWAY_JOB} answered 3 scrapes late, by up to 7.00 s of 10.00 s between two: ")
    assert starved([one for one in WHOLE if not 100 <= one[0] <= 140]) != []
    assert starved(down(100, 200), short_spec(faults=[{"fault": "gateway-down"}])) == []


@pytest.mark.parametrize(
    ("ahead_s", "within_s", "said"),
    [(0.9, 0.01, None), (1.5, 0.6, None), (1.5, 0.1, "1.5 s ahead of"), (-30.0, 0.1, "30.0 s behind")],
)
def test_a_clock_is_off_where_that_is_more_than_asking_takes(ahead_s: float, within_s: float, said: str | None) -> None:
    problem = Clock(ahead_s, within_s).problem()
    assert problem is None if said is None else said in (problem or "")


def test_a_fault_begins_when_it_is_asked_for_and_ends_when_its_end_is() -> None:
    """A command may take a minute; the alarm may fire, and resolve, before it returns."""
    under_way = asyncio.Event()
    moments: dict[str, float] = {}

    class Slow:
        async def apply(self, use: FaultUse, length_s: float, observe: object) -> Any:
            await under_way.wait()
            moments["on"] = time.time()

            async def off() -> None:
                under_way.clear()
                asyncio.get_running_loop().call_later(0.1, under_way.set)
                await under_way.wait()
                moments["off"] = time.time()

            return off

    async def scenario() -> list[Event]:
        noted: list[Event] = []
        site: Any = Slow()
        asyncio.get_running_loop().call_later(0.1, under_way.set)
        async with applied_fault(FaultUse(fault="gateway-down"), 1, site, noted.append):
            pass
        return noted

    applied, cleared = asyncio.run(scenario())
    assert isinstance(applied, FaultApplied)
    assert isinstance(cleared, FaultCleared)
    assert applied.at < moments["on"] <= cleared.at < moments["off"]
