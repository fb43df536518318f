"""Client calls as a vendor's gateway, or a provider's console, counts them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tiercli.audit.record import Usage
from tiercli.catalog.model import Catalog, Offer
from tiercli.sandbox.gateway.records import Call
from tiercli.sandbox.gateway.upstream import Attempt
from tiercli.sandbox.spoken_metrics import Amounts, SpokenMetrics
from tiercli.signals.bindings import Binding

_NOTHING = Usage()
_NOWHERE = {"provider": "", "model": "", "region": "", "deployment": ""}


class SpokenCalls:
    """Counts calls for one source that has metrics of its own. `provider`: of a console, the only one that it sees."""

    def __init__(self, binding: Binding, catalog: Catalog, provider: str | None, minute_s: float) -> None:
        self.metrics = SpokenMetrics(binding, minute_s=minute_s)
        self._provider = provider
        self._deployments: dict[Offer, list[str]] = defaultdict(list)
        for name, candidate in catalog.gateway.deployments.items():
            self._deployments[Offer(candidate.provider, candidate.model, candidate.region)].append(name)

    def add(self, call: Call, record: Mapping[str, Any]) -> None:
        """Count a call that has ended. `record`: what the gateway logs of it."""
        places = [self._place(attempt) for attempt in call.attempts]
        facts = {"alias": call.alias, "tenant": call.tenant, "feature": call.feature}
        for attempt, place in zip(call.attempts, places, strict=True):
            if self._provider in (None, attempt.step.candidate.provider) and not attempt.client_gone:
                self.metrics.count("attempt", {**facts, **place, **_result(attempt)}, _amounts(attempt, record))
        if self._provider is not None:
            return
        last = call.attempts[-1] if call.attempts else None
        result = _result(last) if last is not None else {"step": "", "stream": ""}
        own = {**facts, **(places[-1] if places else _NOWHERE), **result, "status": str(call.status), "code": call.code}
        amounts = {**_amounts(last, record), "seconds": record["latency_s"]}
        self.metrics.count("call", own, amounts)
        for number, (attempt, place) in enumerate(zip(call.attempts[:-1], places, strict=False)):
            following = call.attempts[number + 1]
            if following.step is not attempt.step:
                there = {f"to_{name}": value for name, value in places[number + 1].items()}
                rescued = "" if following.code else "yes"
                fall = {**facts, **place, **there, "status": _status(attempt), "code": attempt.code, "rescued": rescued}
                self.metrics.count("fall", fall, {})

    def _place(self, attempt: Attempt) -> dict[str, str]:
        """Of several deployments at one place, as many as servers there, each is one server's."""
        offer = Offer(*attempt.step.offer)
        named = self._deployments.get(offer) or [f"{offer.provider}/{offer.model}"]
        keys = attempt.step.candidate.endpoints
        deployment = named[keys.index(attempt.endpoint.key) % len(named)]
        return {**offer._asdict(), "deployment": deployment}


def _result(attempt: Attempt) -> dict[str, str]:
    stream = "" if attempt.ttft_s is None else "yes"
    return {"step": str(attempt.step.number), "status": _status(attempt), "code": attempt.code, "stream": stream}


def _status(attempt: Attempt) -> str:
    return str(attempt.status) if attempt.status else ""


def _amounts(attempt: Attempt | None, record: Mapping[str, Any]) -> Amounts:
    """What a call cost is known of the call alone: it counts where it was answered."""
    used = (attempt.usage if attempt is not None else None) or _NOTHING
    answered = attempt is not None and not attempt.code
    return {
        "seconds": attempt.seconds if attempt is not None else None,
        "ttft_seconds": attempt.ttft_s if attempt is not None else None,
        "cost_usd": record["cost_usd"] if answered else None,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cache_read_tokens": used.cache_read_tokens,
        "cache_write_tokens": used.cache_write_tokens,
    }
