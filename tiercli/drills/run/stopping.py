"""How a run is stopped before its time: by Ctrl-C, by an abort condition, by a part of the environment that died."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tiercli.drills.record.events import Event

_T = TypeVar("_T")


class Stopped(Exception):
    """The run was asked to stop; `event` says why."""

    def __init__(self, event: Event) -> None:
        super().__init__(event.KIND)
        self.event = event


class StopSignal:
    """Set once, by anyone; every wait of the run races it."""

    def __init__(self) -> None:
        self._reason: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    @property
    def reason(self) -> Event | None:
        """Why the run stops, or None while it goes on."""
        return self._reason.result() if self._reason.done() else None

    def set(self, event: Event) -> bool:
        """Stop the run because of `event`. False when something else stopped it first."""
        if self._reason.done():
            return False
        self._reason.set_result(event)
        return True

    async def race(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`, unless the run is stopped first: then `work` is cancelled and Stopped is raised."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._reason), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if task.cancelled() or (self._reason.done() and not task.done()):
            raise Stopped(self._reason.result())
        return task.result()

    async def sleep(self, seconds: float) -> None:
        """Wait, unless stopped."""
        await self.race(asyncio.sleep(seconds))


# The runs that a signal stops, with what each notes of it: several may be under way in one event loop.
_STOPPABLE: list[tuple[StopSignal, type[Event]]] = []


@contextmanager
def signals_stop(stop: StopSignal, make_event: type[Event]) -> Iterator[None]:
    """While inside, SIGINT and SIGTERM set `stop` with `make_event(at=…, signal=…)` in place of killing us."""
    loop = asyncio.get_running_loop()
    _STOPPABLE.append((stop, make_event))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop_all, number)
    try:
        yield
    finally:
        _STOPPABLE.remove((stop, make_event))
        if not _STOPPABLE:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def _stop_all(number: signal.Signals) -> None:
    name = "Ctrl-C" if number is signal.SIGINT else number.name
    for stop, make_event in _STOPPABLE:
        stop.set(make_event(at=time.time(), signal=name))  # type: ignore[call-arg]
