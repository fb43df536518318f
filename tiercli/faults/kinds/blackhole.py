"""The endpoint takes calls and never answers: what a lost route or a hung process looks like."""

from __future__ import annotations

import asyncio

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, Forward, HitsAShare, ShareSettings


class BlackholeSettings(ShareSettings):
    """`share` of the calls, 0 to 1, are never answered: whoever waits longest gives up first."""


class Blackhole(HitsAShare[BlackholeSettings]):
    """Holds calls until their client hangs up."""

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer; for a call that the fault hits never anything."""
        if not self.hits():
            return await forward()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets the event")


BLACKHOLE = FaultKind(
    name="blackhole",
    summary="the endpoint takes calls and never answers",
    settings=BlackholeSettings,
    build=Blackhole,
    fails=lambda settings: settings.share,
)
