"""Streams break off: some pieces come, and then the connection is reset."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import ROUTE_LABELS, Answer, BrokenOff, Call, FaultKind, FaultSettings, Forward


class TruncatedStreamSettings(FaultSettings):
    """`share` of the streams, 0 to 1, break off after `pieces` pieces. Calls that do not stream are left alone."""

    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    pieces: Annotated[int, Field(ge=0, le=10_000)] = 2
    seed: int | None = None


class TruncatedStream:
    """Breaks streams off."""

    def __init__(self, settings: TruncatedStreamSettings) -> None:
        self._settings = settings
        self._random = random.Random(settings.seed)  # noqa: S311 - a simulation

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer; of a stream the beginning."""
        answer = await forward()
        if not answer.streams or self._random.random() >= self._settings.share:
            return answer
        return answer.with_body(self._beginning(answer.body))

    async def _beginning(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        left = self._settings.pieces
        async for piece in body:
            if not left:
                raise BrokenOff
            yield piece
            left -= 1


TRUNCATED_STREAM = FaultKind(
    name="truncated-stream",
    summary="a share of the streams breaks off after a few pieces",
    injector="proxy",
    target_labels=ROUTE_LABELS,
    settings=TruncatedStreamSettings,
    build=TruncatedStream,
)
