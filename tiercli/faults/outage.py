"""The endpoint is gone: it refuses connections, or resets every one."""

from __future__ import annotations

from typing import Literal

from tiercli.faults.interface import (
    ROUTE_LABELS,
    Answer,
    BrokenOff,
    Call,
    FaultKind,
    FaultSettings,
    Forward,
    Listener,
)


class OutageSettings(FaultSettings):
    """`refused`: connecting gives ECONNREFUSED. `reset`: a connection is accepted and reset at its first request."""

    mode: Literal["refused", "reset"] = "refused"


class Outage:
    """No call is answered. In mode `refused` the listener is closed too."""

    def __init__(self, settings: OutageSettings) -> None:
        self._refuses = settings.mode == "refused"

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """Never answers."""
        raise BrokenOff

    async def applied(self, listener: Listener) -> None:
        """Close the listener."""
        if self._refuses:
            await listener.refuse()

    async def cleared(self, listener: Listener) -> None:
        """Open it again."""
        if self._refuses:
            await listener.accept()


OUTAGE = FaultKind(
    name="outage",
    summary="the endpoint refuses or resets every connection",
    injector="proxy",
    target_labels=ROUTE_LABELS,
    settings=OutageSettings,
    build=Outage,
)
