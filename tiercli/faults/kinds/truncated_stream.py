"""Streams break off: some pieces come, and then the connection is reset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import Answer, BrokenOff, Call, FaultKind, Forward, HitsAShare, ShareSettings


class TruncatedStreamSettings(ShareSettings):
    """`share` of the streams, 0 to 1, break off after `pieces` pieces. Calls that do not stream are left alone."""

    pieces: Annotated[int, Field(ge=0, le=10_000)] = 2


class TruncatedStream(HitsAShare[TruncatedStreamSettings]):
    """Breaks streams off."""

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer; of a stream the beginning."""
        answer = await forward()
        if not answer.streams or not self.hits():
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
    settings=TruncatedStreamSettings,
    build=TruncatedStream,
)
