"""The model refuses more often than it did: a content filter has changed, or users ask other things."""

from __future__ import annotations

from typing import Any

from tiercli.faults.kinds.interface import Answer, Call, FaultKind, Forward, HitsAShare, Share, ShareSettings
from tiercli.faults.kinds.rewriting import rewritten


class RefusalSettings(ShareSettings):
    """`share` of the answers that succeed, 0 to 1, become refusals (finish_reason content_filter)."""

    share: Share = 0.1


class Refusal(HitsAShare[RefusalSettings]):
    """Asks the endpoint, and lets it refuse."""

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The endpoint's own answer, or a refusal in the time that it took."""
        answer = await forward()
        if answer.status != 200 or not self.hits():
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
    settings=RefusalSettings,
    build=Refusal,
    wire="openai",
)
