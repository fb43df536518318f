"""The endpoint fails in a way that the gateway's translator does not know."""

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


class UnclassifiedSettings(ShareSettings):
    """`share` of the calls, 0 to 1, fail with `status_code`, which providers of chat completions do not document."""

    share: Share = 0.05
    status_code: Annotated[int, Field(ge=400, le=499)] = 418


class Unclassified(HitsAShare[UnclassifiedSettings]):
    """Answers in the endpoint's place, without asking it."""

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """A failure that nobody has a name for, or what the endpoint answers."""
        if not self.hits():
            return await forward()
        return error_answer(self._settings.status_code, "model_policy_v2", "injected fault: an error of a new kind")


UNCLASSIFIED = FaultKind(
    name="unclassified",
    summary="a share of the calls fails with a status that the gateway does not know",
    settings=UnclassifiedSettings,
    build=Unclassified,
    fails=lambda settings: settings.share,
)
