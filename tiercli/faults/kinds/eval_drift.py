"""Answers have become worse, and nothing fails: the score of an alias's evals falls. Set directly: a sandbox runs no evals."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import FaultKind, FaultSettings


class EvalDriftSettings(FaultSettings):
    """`score`: what the evals of the alias say instead, 0 to 1."""

    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


EVAL_DRIFT = FaultKind(
    name="eval-drift",
    summary="the score of an alias's evals changes (set directly)",
    injector="gateway",
    target_labels=("alias",),
    settings=EvalDriftSettings,
)
