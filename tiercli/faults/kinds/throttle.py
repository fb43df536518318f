"""The endpoint throttles: 429, and how long to wait."""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import ROUTE_LABELS, Answer, Call, FaultKind, FaultSettings, Forward, error_answer


class ThrottleSettings(FaultSettings):
    """`share` of the calls, 0 to 1, are answered with 429 and Retry-After: `retry_after_seconds`."""

    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.05
    retry_after_seconds: Annotated[int, Field(ge=0, le=86_400)] = 1
    seed: int | None = None


class Throttle:
    """Answers in the endpoint's place, without asking it."""

    def __init__(self, settings: ThrottleSettings) -> None:
        self._settings = settings
        self._random = random.Random(settings.seed)  # noqa: S311 - a simulation

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """A refusal for now, or what the endpoint answers."""
        if self._random.random() >= self._settings.share:
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
    injector="proxy",
    target_labels=ROUTE_LABELS,
    settings=ThrottleSettings,
    build=Throttle,
)
