"""The endpoint takes every call and never answers: what a lost route or a hung process looks like."""

from __future__ import annotations

import asyncio

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, FaultSettings, Forward


class BlackholeSettings(FaultSettings):
    """There is nothing to set: whoever waits longest gives up first."""


class Blackhole:
    """Holds every call until its client hangs up."""

    def __init__(self, settings: BlackholeSettings) -> None:
        pass

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """Never returns; the caller's own timeout ends it."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets the event")


BLACKHOLE = FaultKind(
    name="blackhole",
    summary="the endpoint takes every call and never answers",
    settings=BlackholeSettings,
    build=Blackhole,
)
