"""What the simulated gateway says of its calls: the contract's metrics, the cost, and the audit record.

Attempts are counted as they end, a call once, when it has ended; its audit record is counted where it was written.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from typing import Any

from tiercli.audit.audit_log import AuditLog
from tiercli.sandbox.gateway.conditions import Conditions
from tiercli.sandbox.gateway.metrics import ContractMetrics
from tiercli.sandbox.gateway.routing import Considered, Step
from tiercli.sandbox.gateway.upstream import Attempt, Usage
from tiercli.sandbox.plan import EstatePlan, PricePlan
from tiercli.signals.contract import FAILURE, SUCCESS
from tiercli.signals.costs import gpu_cost_usd, token_cost_usd

CLIENT_CLOSED = "CLIENT_CLOSED"


@dataclass(slots=True)
class Call:
    """A client call. `tenant`, `feature` and `alias` are empty where the estate has none of that name: a caller's free
    text becomes no label and no record."""

    request_id: str
    tenant: str = ""
    feature: str = ""
    alias: str = ""
    began: float = 0.0
    considered: list[Considered] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    falls: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    code: str = ""  # of the call: empty for success
    refusal: str = ""  # routing, where no candidate lies within the tenant's zone
    scope_denied: bool = False
    cache: str = "none"  # what the cache said: none where it was not asked, exact_miss, exact_hit
    cached_region: str = ""  # of an answer from the cache: the region that served it first

    @property
    def answered(self) -> Attempt | None:
        """The attempt that answered, or None."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and not last.code and not self.code else None


class Accounts:
    """Counts into `metrics` and writes to `audit`."""

    def __init__(
        self, plan: EstatePlan, metrics: ContractMetrics, audit: AuditLog, conditions: Conditions | None = None
    ) -> None:
        self._conditions = conditions or Conditions()
        self._plan = plan
        self._metrics = metrics
        self._audit = audit
        self._prices: dict[tuple[str, str], PricePlan] = {(one.provider, one.model): one for one in plan.prices}
        metrics.set("ai_gateway_price_book_info", 1, version=plan.price_book_version)
        metrics.set_function("ai_gateway_up", lambda: float(audit.healthy))
        for alias in plan.aliases:
            # Set directly: a sandbox runs no evals.
            score = functools.partial(self._conditions.eval_score, alias.name, alias.eval_score)
            metrics.set_function("ai_gateway_eval_score", score, alias=alias.name)

    def count_attempt(self, alias: str, attempt: Attempt) -> None:
        """Count one upstream attempt: result, duration, first token, tokens, price."""
        metrics, offer = self._metrics, attempt.step.offer
        metrics.count("ai_gateway_requests_total", **offer, status=FAILURE if attempt.code else SUCCESS)
        metrics.observe("ai_gateway_request_duration_seconds", attempt.seconds, **offer)
        if attempt.ttft_s is not None:
            metrics.observe("ai_gateway_time_to_first_token_seconds", attempt.ttft_s, **offer)
        if attempt.code:
            metrics.count("ai_gateway_errors_total", **offer, code=attempt.code)
        if attempt.code == "POSTCONDITION_FAILED":
            labels = {"provider": offer["provider"], "model": offer["model"], "alias": alias}
            metrics.count("ai_gateway_postcondition_violations_total", **labels)
        for direction, tokens in _directions(attempt.usage):
            metrics.count("ai_gateway_tokens_total", tokens, **offer, direction=direction)
        if not attempt.code and self.cost(attempt) is None:
            metrics.count("ai_gateway_unpriced_requests_total", **offer)

    def count_lookup(self, call: Call, *, hit: bool) -> None:
        """Count a lookup in the cache."""
        call.cache = "exact_hit" if hit else "exact_miss"
        result = "hit" if hit else "miss"
        self._metrics.count("ai_gateway_cache_lookups_total", alias=call.alias, kind="exact", result=result)

    def count_fallback(self, call: Call, last: Step, to: Step, reason: str) -> None:
        """Count a fall from one candidate to the next."""
        fall = {"from": last.name, "to": to.name, "reason": reason}
        call.falls.append(fall)
        self._metrics.count("ai_gateway_fallbacks_total", alias=call.alias, **fall)

    def count_denial(self, call: Call) -> None:
        """Count a call that asked for more than its tenant may have."""
        call.scope_denied = True
        self._metrics.count("ai_gateway_scope_denials_total", tenant=call.tenant)

    def count_unrouted(self, call: Call) -> None:
        """Count a call for which no candidate lies within its tenant's zone."""
        call.refusal = "routing"
        self._metrics.count("ai_gateway_refusals_total", alias=call.alias, kind="routing")

    def finish(self, call: Call, *, in_zone: bool = True) -> None:
        """Count a call that has ended, and write its audit record. `in_zone`: it was served where it may be."""
        metrics, answered = self._metrics, call.answered
        region = call.attempts[-1].served_region if call.attempts else call.cached_region
        status = FAILURE if call.code else SUCCESS
        metrics.count("ai_gateway_tenant_requests_total", tenant=call.tenant, region=region, status=status)
        if not in_zone:
            metrics.count("ai_gateway_zone_violations_total", tenant=call.tenant, region=region)
        costs = [self.cost(attempt) for attempt in call.attempts]
        # Unknown, and not nothing, where what answered has no price.
        cost = None if answered is not None and costs[-1] is None else sum(one or 0.0 for one in costs)
        if cost:
            labels = {"tenant": call.tenant, "feature": call.feature, "alias": call.alias}
            metrics.count("ai_gateway_cost_usd_total", cost, **labels)
        for attempt in call.attempts:
            for direction, tokens in _directions(attempt.usage):
                metrics.count("ai_gateway_tenant_tokens_total", tokens, tenant=call.tenant, direction=direction)
        if answered is not None:
            labels = {"alias": call.alias, **answered.step.offer, "fallback_step": str(answered.step.number)}
            metrics.count("ai_gateway_alias_requests_total", **labels)
            if answered.refused:
                metrics.count("ai_gateway_refusals_total", alias=call.alias, kind="model")
            if answered.usage is not None:
                labels = {"alias": call.alias, "feature": call.feature}
                metrics.observe("ai_gateway_response_tokens", answered.usage.output, **labels)
        if not self._conditions.lose_record() and self._audit.write(self._record(call, region, cost)):
            metrics.count("ai_gateway_audit_records_total")

    def cost(self, attempt: Attempt) -> float | None:
        """US dollars of one attempt: tokens by the price book; for a local server without a token price the share of its
        GPU time that the attempt held. None where neither is known."""
        offer = attempt.step.candidate
        price = self._prices.get((offer.provider, offer.model))
        if price is not None:
            used = attempt.usage or Usage()
            return self._conditions.price_factor(offer.provider) * token_cost_usd(
                price,
                input_tokens=used.input,
                output_tokens=used.output,
                cache_read=used.cache_read,
                cache_write=used.cache_write,
            )
        endpoint = attempt.endpoint
        if endpoint.tier == "local" and self._plan.gpu_usd_per_hour is not None:
            return gpu_cost_usd(endpoint.gpus, endpoint.concurrency, attempt.seconds, self._plan.gpu_usd_per_hour)
        return None

    def _record(self, call: Call, region: str, cost: float | None) -> dict[str, Any]:
        answered = call.answered
        usage = (answered.usage if answered else None) or Usage()
        first = call.attempts[0] if call.attempts else None
        step = answered.step if answered else None
        return {
            "at": round(time.time(), 3),
            "request_id": call.request_id,
            "tenant": call.tenant or None,
            "feature": call.feature or None,
            "model_alias": call.alias or None,
            "region": region or None,
            "model_used": {
                "provider": step.candidate.provider,
                "model_version": step.candidate.model,
                "region": region,
            }
            if step
            else None,
            "usage": _usage(usage),
            "cost_usd": None if cost is None else round(cost, 9),
            "price_book_version": self._plan.price_book_version,
            "cache_status": call.cache,
            "fallback_step": step.number if step else None,
            "degraded": step is not None and step.number > 0,
            "primary_failure_reason": first.code or None if first else None,
            "route_resolution": _resolution(call),
            "status": FAILURE if call.code else SUCCESS,
            "code": call.code or None,
            "refusal": "model" if answered and answered.refused else call.refusal or None,
            "scope_denied": call.scope_denied,
            "http_status": call.status,
            "latency_s": round(time.monotonic() - call.began, 4),
        }


def _resolution(call: Call) -> dict[str, Any]:
    answered = call.answered
    tried = [
        {
            "candidate": attempt.step.name,
            "provider": attempt.step.candidate.provider,
            "model_version": attempt.step.candidate.model,
            "region": attempt.step.candidate.region,
            "endpoint": attempt.endpoint.key,
            "result": attempt.code or "answered",
            "latency_s": round(attempt.seconds, 6),
            "ttft_s": None if attempt.ttft_s is None else round(attempt.ttft_s, 6),
            "usage": None if attempt.usage is None else _usage(attempt.usage),
        }
        for attempt in call.attempts
    ]
    left_out = [{"candidate": item.step.name, "result": item.reason} for item in call.considered]
    if answered is None and call.cached_region:
        reason = "answered from the cache"
    elif answered is None:
        reason = "no candidate answered" if call.attempts else "no candidate was tried"
    elif answered.step is call.attempts[0].step:
        reason = "first candidate in the tenant's zone"
    else:
        reason = "the candidates before it failed"
    return {
        "considered": tried + left_out,
        "fallbacks": call.falls,
        "selected": answered.step.name if answered else None,
        "reason": reason,
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
    }


def _directions(usage: Usage | None) -> list[tuple[str, int]]:
    if usage is None:
        return []
    pairs = (
        ("input", usage.input),
        ("output", usage.output),
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
    )
    return [(direction, tokens) for direction, tokens in pairs if tokens]
