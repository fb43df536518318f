"""The endpoint answers a share of the calls with an error."""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import ROUTE_LABELS, Answer, Call, FaultKind, FaultSettings, Forward, error_answer


class ErrorsSettings(FaultSettings):
    """`share` of the calls, 0 to 1, are answered with one of `status_codes`, each as likely as the others."""

    share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    status_codes: tuple[Annotated[int, Field(ge=400, le=599)], ...] = Field(default=(500,), min_length=1)
    seed: int | None = None


class Errors:
    """Answers in the endpoint's place, without asking it."""

    def __init__(self, settings: ErrorsSettings) -> None:
        self._settings = settings
        self._random = random.Random(settings.seed)  # noqa: S311 - a simulation

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """An error, or what the endpoint answers."""
        if self._random.random() >= self._settings.share:
            return await forward()
        status = self._random.choice(self._settings.status_codes)
        return error_answer(status, "injected_fault", f"injected fault: status {status}")


ERRORS = FaultKind(
    name="errors",
    summary="a share of the calls is answered with an error status",
    injector="proxy",
    target_labels=ROUTE_LABELS,
    settings=ErrorsSettings,
    build=Errors,
)
