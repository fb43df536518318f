"""What the simulated gateway records of a call: one audit record, which is counted as it was written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiercli.audit.audit_log import LINE_END, AuditLog, audit_line
from tiercli.audit.record import ANSWERED, Usage, record_decoder
from tiercli.exporters.audit_tally import Tally
from tiercli.sandbox.gateway.conditions import Conditions
from tiercli.sandbox.gateway.routing import Considered
from tiercli.sandbox.gateway.upstream import Attempt
from tiercli.sandbox.plan import EstatePlan
from tiercli.signals.contract import FAILURE, SUCCESS
from tiercli.signals.costs import gpu_cost_usd, token_cost_usd

_NOTHING = Usage()
_decode = record_decoder()


@dataclass(slots=True)
class Call:
    """A client call. `tenant`, `feature` and `alias` are empty if the estate has none of that name: a caller's free text
    becomes no label, and only the name that it calls itself becomes part of a record."""

    request_id: str
    tenant: str = ""
    feature: str = ""
    alias: str = ""
    credential_id: str | None = None
    caller: str | None = None
    began: float = 0.0
    considered: list[Considered] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    falls: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    code: str = ""  # of the call: empty for success
    refusal: str = ""  # routing, if no candidate lies within the tenant's zone
    scope_denied: bool = False
    cache: str = "none"  # no lookup; else exact_miss or exact_hit
    cached_region: str = ""  # of an answer from the cache: the region that served it first

    @property
    def answered(self) -> Attempt | None:
        """The attempt that answered, or None."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and not last.code and not self.code else None


# What else counts a call that has ended, with its record.
AddCall = Callable[[Call, Mapping[str, Any]], None]


class Records:
    """Writes the record of each call that has ended to `audit`, and counts it in `tally` and by `others`."""

    def __init__(
        self, plan: EstatePlan, tally: Tally, audit: AuditLog, conditions: Conditions, others: Sequence[AddCall] = ()
    ) -> None:
        self._tally, self._audit, self._conditions, self._others = tally, audit, conditions, others
        self._price_book = plan.catalog.price_book
        self._zones_enforced = plan.catalog.gateway.zones == "enforced"

    def finish(self, call: Call) -> None:
        """A call has ended. What the record adds up to is counted even if the record is lost."""
        record = self._record(call)
        line = audit_line(record)
        written = not self._conditions.lose_record() and self._audit.write([line]) == 1
        self._tally.add(_decode(line), size=len(line) + LINE_END, written=written)
        for add in self._others:
            add(call, record)

    def _record(self, call: Call) -> dict[str, Any]:
        answered, last = call.answered, call.attempts[-1] if call.attempts else None
        region = last.served_region if last is not None else call.cached_region
        first = call.attempts[0] if call.attempts else None
        step = answered.step if answered else None
        costs = [self._cost(attempt) for attempt in call.attempts]
        # Not known, which is not 0, if what answered has no price.
        unpriced = last is not None and not last.code and costs[-1] is None
        return {
            "at": round(time.time(), 3),
            "request_id": call.request_id,
            "tenant": call.tenant or None,
            "credential_id": call.credential_id,
            "caller": call.caller,
            "feature": call.feature or None,
            "model_alias": call.alias or None,
            "region": region or None,
            "model_used": {**_place(answered), "region": region} if answered else None,
            "usage": answered.usage if answered else _NOTHING,
            "cost_usd": None if unpriced else round(sum(cost or 0.0 for cost in costs), 9),
            "price_book_version": self._price_book.version,
            "cache_status": call.cache,
            "fallback_step": step.number if step else None,
            "degraded": step is not None and step.number > 0,
            "primary_failure_reason": first.code or None if first else None,
            "route_resolution": _resolution(call, enforced=self._zones_enforced),
            "status": FAILURE if call.code else SUCCESS,
            "code": call.code or None,
            "refusal": "model" if answered and answered.refused else call.refusal or None,
            "scope_denied": call.scope_denied,
            "http_status": call.status,
            "latency_s": round(time.monotonic() - call.began, 4),
        }

    def _cost(self, attempt: Attempt) -> float | None:
        """US dollars of one attempt: tokens by the price book; for a local server without a token price the share of its GPU
        time that the attempt held. None if neither is known."""
        candidate, endpoint = attempt.step.candidate, attempt.endpoint
        price = self._price_book.models.get(candidate.provider, {}).get(candidate.model)
        if price is not None:
            used = attempt.usage or _NOTHING
            return self._conditions.price_factor(candidate.provider) * token_cost_usd(
                price,
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                cache_read=used.cache_read_tokens,
                cache_write=used.cache_write_tokens,
            )
        per_hour = self._price_book.gpu_usd_per_hour
        if endpoint.tier == "local" and per_hour is not None:
            return gpu_cost_usd(endpoint.gpus, endpoint.concurrency, attempt.seconds, per_hour)
        return None


def _place(attempt: Attempt) -> dict[str, str]:
    provider, model, region = attempt.step.offer
    return {"provider": provider, "model_version": model, "region": region}


def _resolution(call: Call, *, enforced: bool) -> dict[str, Any]:
    answered = call.answered
    tried = [
        {
            "candidate": attempt.step.name,
            **_place(attempt),
            "endpoint": attempt.endpoint.key,
            "result": attempt.code or ANSWERED,
            "latency_s": round(attempt.seconds, 6),
            "ttft_s": None if attempt.ttft_s is None else round(attempt.ttft_s, 6),
            "usage": attempt.usage,
        }
        for attempt in call.attempts
    ]
    left_out = [{"candidate": item.step.name, "result": item.reason} for item in call.considered]
    if answered is None and call.cached_region:
        reason = "answered from the cache"
    elif answered is None:
        reason = "no candidate answered" if call.attempts else "no candidate was tried"
    elif answered.step is call.attempts[0].step:
        reason = "first candidate in the tenant's zone" if enforced else "first candidate"
    else:
        reason = "the candidates before it failed"
    return {
        "considered": tried + left_out,
        "fallbacks": call.falls,
        "selected": answered.step.name if answered else None,
        "reason": reason,
    }
