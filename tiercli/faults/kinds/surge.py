"""More load than usual, aimed at something: what a loop, a launch or a batch job looks like to the estate."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import CALL_LABELS, FaultKind, FaultSettings


class SurgeSettings(FaultSettings):
    """`calls_per_second` (real seconds) on top of the drill's load, from callers that the target names; `grows_to`: the rate at
    the fault's end, if it grows. `prompt_tokens` and `max_tokens` of each call."""

    calls_per_second: Annotated[float, Field(gt=0, le=5000, allow_inf_nan=False)]
    grows_to: Annotated[float, Field(gt=0, le=5000, allow_inf_nan=False)] | None = None
    prompt_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 400
    stream_share: Annotated[float, Field(ge=0, le=1)] = 0.3


def surge_fault(name: str, summary: str) -> FaultKind[SurgeSettings]:
    """A fault caused by more load; the target says whose."""
    return FaultKind(name=name, summary=summary, injector="load", target_labels=CALL_LABELS, settings=SurgeSettings)
