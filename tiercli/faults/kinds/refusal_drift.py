"""The model refuses more often than it did: a content filter has changed, or users ask other things."""

from __future__ import annotations

import random
from typing import Annotated, Any

from pydantic import Field

from tiercli.faults.kinds.interface import ROUTE_LABELS, Answer, Call, FaultKind, FaultSettings, Forward
from tiercli.faults.kinds.rewriting import rewritten


class RefusalSettings(FaultSettings):
    """`share` of the answers that succeed, 0 to 1, become refusals (finish_reason content_filter)."""

    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.1
    seed: int | None = None


class Refusal:
    """Asks the endpoint, and lets it refuse."""

    def __init__(self, settings: RefusalSettings) -> None:
        self._settings = settings
        self._random = random.Random(settings.seed)  # noqa: S311 - a simulation

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer, or a refusal in the time that it took."""
        answer = await forward()
        if answer.status != 200 or self._random.random() >= self._settings.share:
            return answer
        return rewritten(answer, _refuse)


def _refuse(data: dict[str, Any]) -> None:
    for choice in data.get("choices") or ():
        if not isinstance(choice, dict):
            continue
        if isinstance(choice.get("message"), dict):
            choice["message"] |= {"content": None, "refusal": "I cannot help with that."}
            choice["finish_reason"] = "content_filter"
        elif choice.get("finish_reason"):
            choice["finish_reason"] = "content_filter"


REFUSAL = FaultKind(
    name="refusal-drift",
    summary="the model refuses a share of the calls",
    injector="proxy",
    target_labels=ROUTE_LABELS,
    settings=RefusalSettings,
    build=Refusal,
    wire="openai",
)
