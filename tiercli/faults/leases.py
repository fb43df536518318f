"""The faults that are on, each under a lease: one that is not renewed in time ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiercli.faults.interface import Fault, FaultKind, FaultSettings, HoldsListener, Listener

LONGEST_LEASE_S = 3600.0


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
        """Turn a fault on; one with the same id is turned off first."""
        async with self._lock:
            await self._clear(injection.id)
            self._injections[injection.id] = injection
            self._start_lease(injection)
            for point in injection.points:
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
        """Turn a fault off; False where it was not on."""
        async with self._lock:
            return await self._clear(name)

    async def clear_all(self) -> None:
        """Turn every fault off, the newest first."""
        for injection in reversed(self.active()):
            await self.clear(injection.id)

    def _start_lease(self, injection: Injection) -> None:
        if injection.timer is not None:
            injection.timer.cancel()
        loop = asyncio.get_running_loop()
        injection.expires_at = loop.time() + injection.lease_s
        injection.timer = loop.call_at(injection.expires_at, self._expire, injection)

    def _expire(self, injection: Injection) -> None:
        task = asyncio.get_running_loop().create_task(self._clear_expired(injection))
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    async def _clear_expired(self, injection: Injection) -> None:
        async with self._lock:
            renewed = injection.expires_at > asyncio.get_running_loop().time()
            if self._injections.get(injection.id) is injection and not renewed:
                await self._clear(injection.id)

    async def _clear(self, name: str) -> bool:
        injection = self._injections.pop(name, None)
        if injection is None:
            return False
        if injection.timer is not None:
            injection.timer.cancel()
        for point in injection.points:
            point.faults = tuple(fault for fault in point.faults if fault is not injection.fault)
            if isinstance(injection.fault, HoldsListener):
                await injection.fault.cleared(point.listener)
        return True
