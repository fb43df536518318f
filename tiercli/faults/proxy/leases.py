"""The faults that are on, each under a lease: one that is not renewed in time ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tiercli.errors import BackendError
from tiercli.faults.kinds.interface import FaultKind, FaultSettings

LONGEST_LEASE_S = 3600.0
_AGAIN_S = 1.0  # until a fault that could not be turned off is tried again
_NOT_OFF = (BackendError, OSError)  # a listener that does not listen again: no descriptor is free, say


@dataclass(eq=False, slots=True, kw_only=True)
class Lease:
    """A fault that is on until its lease ends. A subclass says what turning it on and off takes."""

    id: str
    kind: FaultKind[Any]
    target: Mapping[str, str]
    settings: FaultSettings
    lease_s: float
    expires_at: float = 0.0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)
    ending: bool = False  # it is to be off, and could not be turned off yet

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the routes that it is for."""
        return ()

    async def turn_on(self) -> None:
        """Turn the fault on. Raises BackendError or OSError."""

    async def turn_off(self) -> None:
        """Turn the fault off, or what is left of it. Raises BackendError or OSError if it stays on: this is called again then."""

    def as_json(self, now: float) -> dict[str, Any]:
        """The control API's answer; `now` is the event loop's clock."""
        return {
            "id": self.id,
            "fault": self.kind.name,
            "target": dict(self.target),
            "settings": self.settings.model_dump(mode="json", exclude_none=True),
            "routes": list(self.places),
            "lease_s": self.lease_s,
            "expires_in_s": round(max(0.0, self.expires_at - now), 3),
        }


L = TypeVar("L", bound=Lease)


class Leases(Generic[L]):
    """Turns faults on and off, one change at a time. Every method runs in the server's event loop."""

    def __init__(self) -> None:
        self._leases: dict[str, L] = {}
        self._lock = asyncio.Lock()
        self._expiring: set[asyncio.Task[None]] = set()

    def active(self) -> list[L]:
        """The faults that are on, the oldest first."""
        return list(self._leases.values())

    async def apply(self, lease: L) -> None:
        """Turn a fault on; one with the same id is turned off first. Raises BackendError or OSError if that fails."""
        async with self._lock:
            await self._clear(lease.id)
            self._leases[lease.id] = lease
            self._begin(lease)
            await lease.turn_on()

    def renew(self, name: str) -> L | None:
        """Begin a fault's lease anew; None if it is not on (any more)."""
        lease = self._leases.get(name)
        if lease is not None:
            self._begin(lease)
        return lease

    async def clear(self, name: str) -> bool:
        """Turn a fault off; False if it was not on. Raises BackendError or OSError if it stays on: it is still active then, and
        is tried again until it is off."""
        async with self._lock:
            return await self._clear(name)

    async def clear_all(self) -> None:
        """Turn every fault off, the newest first. Raises as `clear`, the first error, once all were tried."""
        failed: Exception | None = None
        for lease in reversed(self.active()):
            try:
                await self.clear(lease.id)
            except _NOT_OFF as error:
                failed = failed or error
        if failed is not None:
            raise failed

    async def close(self) -> None:
        """Turn every fault off, for good: what stays on is forgotten, because its listener is closed next."""
        with contextlib.suppress(*_NOT_OFF):
            await self.clear_all()
        for lease in self.active():
            if lease.timer is not None:
                lease.timer.cancel()
        self._leases.clear()

    def _begin(self, lease: L) -> None:
        if lease.ending:
            return
        lease.expires_at = asyncio.get_running_loop().time() + lease.lease_s
        self._wake(lease, lease.lease_s)

    def _wake(self, lease: L, in_s: float) -> None:
        if lease.timer is not None:
            lease.timer.cancel()
        lease.timer = asyncio.get_running_loop().call_later(in_s, self._expire, lease)

    def _expire(self, lease: L) -> None:
        task = asyncio.get_running_loop().create_task(self._clear_expired(lease))
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    async def _clear_expired(self, lease: L) -> None:
        async with self._lock:
            renewed = lease.expires_at > asyncio.get_running_loop().time() and not lease.ending
            if self._leases.get(lease.id) is lease and not renewed:
                with contextlib.suppress(*_NOT_OFF):  # reported already, and tried again
                    await self._clear(lease.id)

    async def _clear(self, name: str) -> bool:
        lease = self._leases.get(name)
        if lease is None:
            return False
        try:
            await lease.turn_off()
        except _NOT_OFF as error:
            if not lease.ending:
                where = f" on {', '.join(lease.places)}" if lease.places else ""
                sys.stderr.write(f"{lease.kind.name}{where} is tried again until it is off: {error}\n")
            lease.ending = True
            self._wake(lease, _AGAIN_S)
            raise
        if lease.timer is not None:
            lease.timer.cancel()
        del self._leases[name]
        return True
