"""The endpoint answers a share of the calls with 200 and something that is no completion: a postcondition violation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, Forward, HitsAShare, ShareSettings

_ANSWER = b'{"object": "chat.completion", "choices": []}'
_STREAM = b'data: {"object": "chat.completion.chunk", "choices": "none"}\n\ndata: [DONE]\n\n'


class MalformedSettings(ShareSettings):
    """`share` of the answers that succeed, 0 to 1, lose their content."""

    share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0


class Malformed(HitsAShare[MalformedSettings]):
    """Asks the endpoint, and passes on another answer in the time that it took."""

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's answer, or one without a choice in it."""
        answer = await forward()
        if answer.status != 200 or not self.hits():
            return answer
        headers = tuple(
            (name, value)
            for name, value in answer.headers
            if name.lower() not in ("content-length", "content-encoding")
        )
        return replace(answer, headers=headers, body=_instead(answer.body, _STREAM if answer.streams else _ANSWER))


async def _instead(body: AsyncIterator[bytes], content: bytes) -> AsyncIterator[bytes]:
    async for _ in body:
        pass
    yield content


MALFORMED = FaultKind(
    name="malformed",
    summary="a share of the answers succeeds and has the wrong shape",
    settings=MalformedSettings,
    build=Malformed,
)
