"""The estate of a blind drill: a sandbox under ordinary load, in which one fault after another can be on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from tiercli.drills.blind.ground import LOAD
from tiercli.drills.blind.panels_read import PanelReader
from tiercli.drills.blind.scenario import Scenario
from tiercli.drills.load.running import RunningLoad
from tiercli.drills.record.events import BackendLost, Interrupted
from tiercli.drills.run.faults import applied_fault, renewed_leases
from tiercli.drills.run.stopping import Stopped, StopSignal, signals_stop
from tiercli.drills.sites.estate import Estate
from tiercli.drills.sites.quiet import WARM_UP_S, wait_until_quiet
from tiercli.drills.sites.sandbox import DrillSandbox
from tiercli.errors import BackendError
from tiercli.sandbox.stack.binaries import StackBinaries

_T = TypeVar("_T")
# What a fault left behind is waited for no longer than this; what stays is in the picture before the next.
_QUIET_WITHIN_S = 25.0
_ENDLESS_S = 3600.0  # a fault here lasts until somebody has answered
# Of the longest rate window: so long after a fault the panels show nothing of it, and so long after its beginning all of it.
FILLED = 1.4


class InterruptedDrill(Exception):
    """Ctrl-C or SIGTERM. Faults are cleared on the way out."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A sandbox that runs under load. `window_s`: the longest rate window of the panels, real seconds."""

    sandbox: DrillSandbox
    reader: PanelReader
    window_s: float
    _stop: StopSignal

    async def race(self, work: Awaitable[_T]) -> _T:
        """What `work` gives, unless the drill is stopped. Raises InterruptedDrill, or BackendError where a part has died."""

        async def done() -> _T:
            return await work

        try:
            return await self._stop.race(done())
        except Stopped as stopped:
            if isinstance(stopped.event, BackendLost):
                raise BackendError(f"{stopped.event.name} failed: {stopped.event.reason}") from stopped
            raise InterruptedDrill from stopped

    async def settle(self) -> None:
        """Wait until the panels show nothing of what was, and nothing interrupts anybody."""
        await self.race(asyncio.sleep(FILLED * self.window_s))
        await self.race(wait_until_quiet(self.sandbox.prometheus, _QUIET_WITHIN_S, ()))

    @asynccontextmanager
    async def fault(self, scenario: Scenario) -> AsyncIterator[float]:
        """The fault is on inside; since when, Unix seconds. Raises BackendError, FaultNotReverted."""
        async with applied_fault(scenario.use(), _ENDLESS_S, self.sandbox, lambda event: None):
            yield time.time()


@asynccontextmanager
async def staged(
    estate: Estate, binaries: StackBinaries, ports: Mapping[str, int], say: Callable[[str], None]
) -> AsyncIterator[Stage]:
    """A stage inside, started and warm. Raises BackendError, InterruptedDrill."""
    stop = StopSignal()

    def on_exit(name: str, code: int) -> None:
        stop.set(BackendLost(at=time.time(), name=name, reason=f"it ended by itself with code {code}"))

    with signals_stop(stop, Interrupted):
        async with DrillSandbox(estate, binaries, ports) as sandbox, sandbox.reporting_to(on_exit, lambda _: None):
            catalog, timing = estate.loaded.catalog, estate.timing
            reader = PanelReader(estate, sandbox.prometheus)
            stage = Stage(sandbox, reader, timing.window_s("5m"), stop)
            say("starting the sandbox")
            await stage.race(sandbox.start(LOAD))
            load = RunningLoad(
                LOAD, catalog, sandbox.load_way, sandbox.supervisor, sandbox.folder, factor=timing.factor
            )
            async with renewed_leases(sandbox, stop), load:
                await stage.race(load.wait_for_first_call())
                say("waiting through normal operation")
                await stage.race(wait_until_quiet(sandbox.prometheus, WARM_UP_S))
                await stage.settle()
                yield stage
