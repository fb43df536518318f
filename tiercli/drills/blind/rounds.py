"""One round: normal times, a fault that is not named, the clock, an answer, and the truth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from tiercli.drills.blind.answer import Answer
from tiercli.drills.blind.ground import Ground
from tiercli.drills.blind.rules import diagnose
from tiercli.drills.blind.scenario import Scenario, draw
from tiercli.drills.blind.seen import Finding, Moment, Seen
from tiercli.drills.blind.stage import FILLED, Stage, staged
from tiercli.drills.sites.estate import Estate
from tiercli.sandbox.stack.binaries import StackBinaries

TARGET_S = 180.0
# A sandbox's past ends 20 minutes after its start: then "the same hour yesterday" is what the drill itself has left.
_SANDBOX_S = 17 * 60.0
_AGAIN_S = 2.0
_GIVES_UP_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one fault. `seconds`: from the fault to the answer, real time; `shown`: what the panels spoke for then."""

    number: int
    seed: str
    at: float
    scenario: Scenario
    answer: Answer | None
    seconds: float
    shown: tuple[Finding, ...]

    @property
    def right(self) -> bool:
        """Whether the answer is the truth."""
        return self.scenario.is_right(self.answer)

    @property
    def in_time(self) -> bool:
        """Whether it came within the target."""
        return self.seconds <= TARGET_S


class Answerer(Protocol):
    """Somebody who looks at the dashboards."""

    async def ready(self, stage: Stage) -> None:
        """Return when the fault may come."""

    async def answer(self, stage: Stage, before: Moment) -> Answer | None:
        """What is wrong, or None where no panel shows it. The clock runs. `before`: what the panels showed before the fault."""


class Panels:
    """tiercli itself, reading what the rules' panels show and nothing else. It answers what two readings in a row speak for most."""

    async def ready(self, stage: Stage) -> None:
        """At once."""

    async def answer(self, stage: Stage, before: Moment) -> Answer | None:
        """The first answer that stays, or None after a while."""
        ends = time.monotonic() + _GIVES_UP_AFTER_S + FILLED * stage.window_s
        await stage.race(asyncio.sleep(FILLED * stage.window_s))
        last: Answer | None = None
        while time.monotonic() < ends:
            finding = diagnose(Seen(before, await stage.race(stage.reader.read())))
            if finding and finding[0].answer == last:
                return last
            last = finding[0].answer if finding else None
            await stage.race(asyncio.sleep(_AGAIN_S))
        return last


@dataclass(frozen=True, slots=True)
class Course:
    """What to play: `count` faults drawn from `seed` on `ground`, in an estate made for it."""

    ground: Ground
    estate: Estate
    binaries: StackBinaries
    seed: int
    count: int
    ports: Mapping[str, int]

    def seed_of(self, number: int) -> str:
        """What the fault of round `number` is drawn with."""
        return f"{self.seed}/{number}"


async def play(
    course: Course, answerer: Answerer, say: Callable[[str], None], ready: Callable[[Stage], None]
) -> AsyncIterator[Round]:
    """The rounds, each as it ends. `ready` is called with each sandbox, when it is up. Nothing names a fault before it is answered.

    Raises BackendError, FaultNotReverted, InterruptedDrill; faults are cleared first."""
    numbers = list(range(1, course.count + 1))
    while numbers:
        async with AsyncExitStack() as stack:
            stage = await stack.enter_async_context(staged(course.estate, course.binaries, course.ports, say))
            began = time.monotonic()
            ready(stage)
            while numbers and time.monotonic() - began < _SANDBOX_S:
                yield await _round(course, numbers.pop(0), stage, answerer)
                if numbers:
                    await stage.settle()


async def _round(course: Course, number: int, stage: Stage, answerer: Answerer) -> Round:
    seed = course.seed_of(number)
    scenario = draw(course.ground, seed)
    await answerer.ready(stage)
    before = await stage.race(stage.reader.read())
    async with stage.fault(scenario) as at:
        began = time.monotonic()
        answer = await answerer.answer(stage, before)
        seconds = time.monotonic() - began
        shown = tuple(diagnose(Seen(before, await stage.race(stage.reader.read()))))
    return Round(number, seed, at, scenario, answer, seconds, shown)
