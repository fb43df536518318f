"""The faults that are on, each under a lease: one that is not renewed in time ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiercli.errors import BackendError
from tiercli.faults.kinds.interface import Fault, FaultKind, FaultSettings, HoldsListener, Listener

LONGEST_LEASE_S = 3600.0
_AGAIN_S = 1.0  # until a fault that could not be turned off is tried again
_NOT_OFF = (BackendError, OSError)  # a listener that does not listen again: no descriptor is free, say


@dataclass(eq=False, slots=True)
class Injection:
    """One fault on one set of routes."""

    id: str
    kind: FaultKind[Any]
    target: Mapping[str, str]
    settings: FaultSettings
    fault: Fault
    points: Sequence[InjectionPoint]
    lease_s: float
    expires_at: float = 0.0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)
    on_at: list[InjectionPoint] = field(default_factory=list)  # where it is on, or may be
    ending: bool = False  # it is to be off, and could not be turned off yet

    def as_json(self, now: float) -> dict[str, Any]:
        """What the control API says of it; `now` is the event loop's clock."""
        return {
            "id": self.id,
            "fault": self.kind.name,
            "target": dict(self.target),
            "settings": self.settings.model_dump(mode="json", exclude_none=True),
            "routes": [point.name for point in self.points],
            "lease_s": self.lease_s,
            "expires_in_s": round(max(0.0, self.expires_at - now), 3),
        }


@dataclass(eq=False, slots=True)
class InjectionPoint:
    """A route as faults see it: its listener, and the faults that are on there, the first applied innermost."""

    name: str
    listener: Listener
    faults: tuple[Fault, ...] = ()


class Leases:
    """Turns faults on and off, one change at a time. Every method runs in the proxy's event loop."""

    def __init__(self) -> None:
        self._injections: dict[str, Injection] = {}
        self._lock = asyncio.Lock()
        self._expiring: set[asyncio.Task[None]] = set()

    def active(self) -> list[Injection]:
        """The faults that are on, the oldest first."""
        return list(self._injections.values())

    async def apply(self, injection: Injection) -> None:
        """Turn a fault on; one with the same id is turned off first. Raises BackendError or OSError where that cannot be."""
        async with self._lock:
            await self._clear(injection.id)
            self._injections[injection.id] = injection
            self._start_lease(injection)
            for point in injection.points:
                injection.on_at.append(point)
                point.faults = (*point.faults, injection.fault)
                if isinstance(injection.fault, HoldsListener):
                    await injection.fault.applied(point.listener)

    def renew(self, name: str) -> Injection | None:
        """Begin a fault's lease anew; None where it is not on (any more)."""
        injection = self._injections.get(name)
        if injection is not None:
            self._start_lease(injection)
        return injection

    async def clear(self, name: str) -> bool:
        """Turn a fault off; False where it was not on. Raises BackendError or OSError where it could not be: it is still among those
        that are on, and is tried again until it is off."""
        async with self._lock:
            return await self._clear(name)

    async def clear_all(self) -> None:
        """Turn every fault off, the newest first. Raises as `clear`, the first error, once all were tried."""
        failed: Exception | None = None
        for injection in reversed(self.active()):
            try:
                await self.clear(injection.id)
            except _NOT_OFF as error:
                failed = failed or error
        if failed is not None:
            raise failed

    async def close(self) -> None:
        """Turn every fault off, for good: what cannot be is forgotten, because its listener is closed next."""
        with contextlib.suppress(*_NOT_OFF):
            await self.clear_all()
        for injection in self.active():
            if injection.timer is not None:
                injection.timer.cancel()
        self._injections.clear()

    def _start_lease(self, injection: Injection) -> None:
        if injection.ending:
            return
        injection.expires_at = asyncio.get_running_loop().time() + injection.lease_s
        self._wake(injection, injection.lease_s)

    def _wake(self, injection: Injection, in_s: float) -> None:
        if injection.timer is not None:
            injection.timer.cancel()
        injection.timer = asyncio.get_running_loop().call_later(in_s, self._expire, injection)

    def _expire(self, injection: Injection) -> None:
        task = asyncio.get_running_loop().create_task(self._clear_expired(injection))
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    async def _clear_expired(self, injection: Injection) -> None:
        async with self._lock:
            renewed = injection.expires_at > asyncio.get_running_loop().time() and not injection.ending
            if self._injections.get(injection.id) is injection and not renewed:
                with contextlib.suppress(*_NOT_OFF):  # said already, and tried again
                    await self._clear(injection.id)

    async def _clear(self, name: str) -> bool:
        injection = self._injections.get(name)
        if injection is None:
            return False
        for point in tuple(injection.on_at):
            point.faults = tuple(fault for fault in point.faults if fault is not injection.fault)
            try:
                if isinstance(injection.fault, HoldsListener):
                    await injection.fault.cleared(point.listener)
            except _NOT_OFF as error:
                self._not_off(injection, point, error)
                raise
            injection.on_at.remove(point)
        if injection.timer is not None:
            injection.timer.cancel()
        del self._injections[name]
        return True

    def _not_off(self, injection: Injection, point: InjectionPoint, error: Exception) -> None:
        if not injection.ending:
            sys.stderr.write(f"{injection.kind.name} on {point.name} is tried again until it is off: {error}\n")
        injection.ending = True
        self._wake(injection, _AGAIN_S)
