"""The endpoint answers, but late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, FaultSettings, Forward
from tiercli.faults.kinds.latencies import Lognormal

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class LatencySettings(FaultSettings):
    """Real seconds: either `seconds`, or `p50_seconds` and `p95_seconds` of a lognormal distribution.

    `add`: that much on top of what the endpoint takes. `target`: the answer takes at least that in all; the first token
    of a stream comes no sooner than `first_token_share` of it.
    """

    mode: Literal["add", "target"] = "add"
    seconds: Seconds | None = None
    p50_seconds: Seconds | None = None
    p95_seconds: Seconds | None = None
    first_token_share: Annotated[float, Field(ge=0, le=1)] = 0.35
    seed: int | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.seconds is None) == (self.p50_seconds is None and self.p95_seconds is None):
            raise ValueError("give either seconds, or p50_seconds and p95_seconds")
        self.distribution()
        return self

    def distribution(self) -> Lognormal:
        """What delays are drawn from; of one value where `seconds` is given."""
        if self.seconds is not None:
            return Lognormal(self.seconds, self.seconds)
        if self.p50_seconds is None or self.p95_seconds is None:
            raise ValueError("p50_seconds and p95_seconds go together")
        return Lognormal(self.p50_seconds, self.p95_seconds)


class Latency:
    """Holds answers back."""

    def __init__(self, settings: LatencySettings) -> None:
        self._settings = settings
        self._distribution = settings.distribution()
        self._random = random.Random(settings.seed)  # noqa: S311 - a simulation

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer, later."""
        delay = self._distribution.draw(self._random)
        answer = await forward()
        if self._settings.mode == "add":
            await asyncio.sleep(delay)
            return answer
        end = call.received_at + delay
        first = call.received_at + delay * self._settings.first_token_share if answer.streams else end
        await _sleep_until(first)
        return answer.with_body(_ends_at(answer.body, end)) if answer.streams else answer


async def _sleep_until(at: float) -> None:
    left = at - asyncio.get_running_loop().time()
    if left > 0:
        await asyncio.sleep(left)


async def _ends_at(body: AsyncIterator[bytes], at: float) -> AsyncIterator[bytes]:
    async for piece in body:
        yield piece
    await _sleep_until(at)


LATENCY = FaultKind(
    name="latency",
    summary="answers come late, by a fixed time or a distribution",
    settings=LatencySettings,
    build=Latency,
)
