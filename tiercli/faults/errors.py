"""errors: a share of the requests is answered with an error in the provider's place."""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field

from tiercli.faults.interface import Exchange, FaultKind, Refusal, Settings

_BODY = b'{"error": {"type": "server_error", "message": "injected by a fire drill"}}'


class ErrorSettings(Settings):
    """`share` of the requests, 0 to 1, gets one of `statuses` in turn."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    statuses: tuple[Annotated[int, Field(ge=400, le=599)], ...] = Field(default=(500,), min_length=1)


class Errors:
    """Answers in the upstream's place. Seeded, so that two runs draw the same."""

    def __init__(self, settings: ErrorSettings) -> None:
        self._settings = settings
        self._random = random.Random("errors")  # noqa: S311 - a share, not a secret
        self._turn = 0

    async def on_request(self, exchange: Exchange) -> Refusal | None:
        """An error for a share of the requests."""
        if self._random.random() >= self._settings.share:
            return None
        self._turn += 1
        status = self._settings.statuses[self._turn % len(self._settings.statuses)]
        return Refusal(status, _BODY, {"Content-Type": "application/json"})


ERRORS = FaultKind(
    "errors", "a share of the requests is answered with an error", injector="proxy", settings=ErrorSettings, make=Errors
)
