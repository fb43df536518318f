"""The endpoint answers a share of the calls with an error."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, Forward, HitsAShare, ShareSettings, error_answer


class ErrorsSettings(ShareSettings):
    """`share` of the calls, 0 to 1, are answered with one of `status_codes`, each as likely as the others."""

    share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    status_codes: tuple[Annotated[int, Field(ge=400, le=599)], ...] = Field(default=(500,), min_length=1)


class Errors(HitsAShare[ErrorsSettings]):
    """Answers in the endpoint's place, without asking it."""

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """An error, or what the endpoint answers."""
        if not self.hits():
            return await forward()
        status = self._random.choice(self._settings.status_codes)
        return error_answer(status, "injected_fault", f"injected fault: status {status}")


ERRORS = FaultKind(
    name="errors",
    summary="a share of the calls is answered with an error status",
    settings=ErrorsSettings,
    build=Errors,
    fails=lambda settings: settings.share,
)
