"""The endpoint is gone: it refuses connections, or resets every one."""

from __future__ import annotations

from typing import Literal

from tiercli.faults.kinds.interface import (
    Answer,
    BrokenOff,
    Call,
    FaultKind,
    FaultSettings,
    Forward,
    RefusesConnections,
)


class OutageSettings(FaultSettings):
    """`refused`: connecting gives ECONNREFUSED. `reset`: a connection is accepted and reset at its first request."""

    mode: Literal["refused", "reset"] = "refused"


class Outage(RefusesConnections):
    """No call is answered. In mode `refused` the listener is closed too."""

    def __init__(self, settings: OutageSettings) -> None:
        super().__init__(settings.mode == "refused")

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """Never answers."""
        raise BrokenOff


OUTAGE = FaultKind(
    name="outage",
    summary="the endpoint refuses or resets every connection",
    settings=OutageSettings,
    build=Outage,
    fails=lambda settings: 1.0,
)
