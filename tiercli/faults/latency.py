"""latency: every request waits before it is passed on, a fixed time or one drawn from a lognormal distribution."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Annotated, Self

from pydantic import Field, model_validator

from tiercli.faults.interface import Exchange, FaultKind, Refusal, Settings

_Z95 = 1.6448536269514722  # the 95th percentile of the standard normal distribution
_LONGEST_S = 60.0

Seconds = Annotated[float, Field(gt=0, le=_LONGEST_S)]


class LatencySettings(Settings):
    """`seconds` added to every request, or a distribution by its median and 95th percentile. Real seconds."""

    seconds: Seconds | None = None
    p50_seconds: Seconds | None = None
    p95_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        drawn = self.p50_seconds is not None and self.p95_seconds is not None
        partly = self.p50_seconds is not None or self.p95_seconds is not None
        if (self.seconds is not None) == partly or partly != drawn:
            raise ValueError("give either seconds, or p50_seconds and p95_seconds")
        if self.p50_seconds is not None and self.p95_seconds is not None and self.p95_seconds < self.p50_seconds:
            raise ValueError("p95_seconds is below p50_seconds")
        return self


class Latency:
    """Adds the delay. Seeded, so that two runs draw the same."""

    def __init__(self, settings: LatencySettings) -> None:
        self._settings = settings
        self._random = random.Random("latency")  # noqa: S311 - delays, not secrets

    async def on_request(self, exchange: Exchange) -> Refusal | None:
        """Wait, then let the request pass."""
        await asyncio.sleep(self.delay_s())
        return None

    def delay_s(self) -> float:
        """The next delay."""
        settings = self._settings
        if settings.seconds is not None:
            return settings.seconds
        p50, p95 = settings.p50_seconds or 0.0, settings.p95_seconds or 0.0
        return min(self._random.lognormvariate(math.log(p50), math.log(p95 / p50) / _Z95), _LONGEST_S)


LATENCY = FaultKind("latency", "every request takes longer", injector="proxy", settings=LatencySettings, make=Latency)
