"""Answers have grown longer or shorter: a provider has replaced a model under its old name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, FaultSettings, Forward
from tiercli.faults.kinds.rewriting import rewritten


class OutputLengthSettings(FaultSettings):
    """`factor`: how many times as many output tokens answers say they have. Their text stays: who pays, pays by usage."""

    factor: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.5


class OutputLength:
    """Passes answers on with another usage."""

    def __init__(self, settings: OutputLengthSettings) -> None:
        self._factor = settings.factor

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer, of another length."""
        answer = await forward()
        return rewritten(answer, self._lengthen) if answer.status == 200 else answer

    def _lengthen(self, data: dict[str, Any]) -> None:
        usage = data.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            usage["completion_tokens"] = max(1, round(usage["completion_tokens"] * self._factor))
            usage["total_tokens"] = usage["completion_tokens"] + int(usage.get("prompt_tokens") or 0)


OUTPUT_LENGTH = FaultKind(
    name="output-length-drift",
    summary="answers have another length than they had",
    settings=OutputLengthSettings,
    build=OutputLength,
    wire="openai",
)
