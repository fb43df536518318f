"""The endpoint fails in a way that the gateway's translator does not know."""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import ROUTE_LABELS, Answer, Call, FaultKind, FaultSettings, Forward, error_answer


class UnclassifiedSettings(FaultSettings):
    """`share` of the calls, 0 to 1, fail with `status_code`, which providers of chat completions do not document."""

    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.05
    status_code: Annotated[int, Field(ge=400, le=499)] = 418
    seed: int | None = None


class Unclassified:
    """Answers in the endpoint's place, without asking it."""

    def __init__(self, settings: UnclassifiedSettings) -> None:
        self._settings = settings
        self._random = random.Random(settings.seed)  # noqa: S311 - a simulation

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """A failure that nobody has a name for, or what the endpoint answers."""
        if self._random.random() >= self._settings.share:
            return await forward()
        return error_answer(self._settings.status_code, "model_policy_v2", "injected fault: an error of a new kind")


UNCLASSIFIED = FaultKind(
    name="unclassified",
    summary="a share of the calls fails with a status that the gateway does not know",
    injector="proxy",
    target_labels=ROUTE_LABELS,
    settings=UnclassifiedSettings,
    build=Unclassified,
)
