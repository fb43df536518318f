"""The endpoint throttles: 429, and how long to wait."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import (
    Answer,
    Call,
    FaultKind,
    Forward,
    HitsAShare,
    Share,
    ShareSettings,
    error_answer,
)


class ThrottleSettings(ShareSettings):
    """`share` of the calls, 0 to 1, are answered with 429 and Retry-After: `retry_after_seconds`."""

    share: Share = 0.05
    retry_after_seconds: Annotated[int, Field(ge=0, le=86_400)] = 1


class Throttle(HitsAShare[ThrottleSettings]):
    """Answers in the endpoint's place, without asking it."""

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """A refusal for now, or what the endpoint answers."""
        if not self.hits():
            return await forward()
        return error_answer(
            429,
            "rate_limit_exceeded",
            "injected fault: too many requests",
            retry_after=self._settings.retry_after_seconds,
        )


THROTTLE = FaultKind(
    name="throttle",
    summary="a share of the calls is answered with 429 and Retry-After",
    settings=ThrottleSettings,
    build=Throttle,
    fails=lambda settings: settings.share,
)
