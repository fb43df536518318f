"""Streams come late and drip: the first token after a while, and each piece after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, FaultSettings, Forward

Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class SlowStreamSettings(FaultSettings):
    """Real seconds: `first_token_seconds` before the first piece of a stream, `piece_seconds` before each that follows.
    Calls that do not stream are left alone."""

    first_token_seconds: Seconds = 1.0
    piece_seconds: Seconds = 0.2

    @model_validator(mode="after")
    def _slows(self) -> Self:
        if not self.first_token_seconds and not self.piece_seconds:
            raise ValueError("with both at 0 nothing is slow")
        return self


class SlowStream:
    """Holds the pieces of streams back."""

    def __init__(self, settings: SlowStreamSettings) -> None:
        self._settings = settings

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer, a stream drop by drop."""
        answer = await forward()
        return answer.with_body(self._drip(answer.body)) if answer.streams else answer

    async def _drip(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        wait = self._settings.first_token_seconds
        async for piece in body:
            await asyncio.sleep(wait)
            yield piece
            wait = self._settings.piece_seconds


SLOW_STREAM = FaultKind(
    name="slow-stream",
    summary="the first token of a stream comes late, and the others drip",
    settings=SlowStreamSettings,
    build=SlowStream,
)
