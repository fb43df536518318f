"""How many label sets each metric of the contract and each recorded series can have: one line for each of them.

A test holds these tables equal to signals/contract.py and signals/recorded.py: a new metric needs its line here.
"""

from __future__ import annotations

from collections.abc import Callable

from tiercli.cardinality.estate import EstateCounts
from tiercli.signals.contract import ERROR_CODES

Count = Callable[[EstateCounts], int]

_CODES = len(ERROR_CODES)
_STATUSES = 2  # success, failure
_DIRECTIONS = 4  # input, output, cache_read, cache_write
_CACHE_RESULTS = 2 * 2  # exact, semantic; hit, miss
_REFUSALS = 2  # by the model, by routing


def _offers(estate: EstateCounts) -> int:
    return len(estate.offers)


def _provider_regions(estate: EstateCounts) -> int:
    return estate.projections(("provider", "region"))


def _calls(estate: EstateCounts) -> int:
    """Client calls. A call that is refused before it is routed has no region; one of an unknown tenant has no tenant
    either. Both are failures."""
    return _STATUSES * estate.tenant_regions + estate.tenants + 1


# Label sets of one gateway instance.
CONTRACT_COUNTS: dict[str, Count] = {
    "ai_gateway_requests_total": lambda estate: _offers(estate) * _STATUSES,
    "ai_gateway_errors_total": lambda estate: _offers(estate) * _CODES,
    "ai_gateway_request_duration_seconds": _offers,
    "ai_gateway_time_to_first_token_seconds": _offers,
    "ai_gateway_tokens_total": lambda estate: _offers(estate) * _DIRECTIONS,
    "ai_gateway_cost_usd_total": lambda estate: estate.tenant_spending,
    "ai_gateway_unpriced_requests_total": _offers,
    "ai_gateway_price_book_info": lambda _: 1,
    "ai_gateway_tenant_tokens_total": lambda estate: estate.tenants * _DIRECTIONS,
    "ai_gateway_alias_requests_total": lambda estate: estate.candidates,
    "ai_gateway_fallbacks_total": lambda estate: estate.falls * _CODES,
    "ai_gateway_cache_lookups_total": lambda estate: estate.aliases * _CACHE_RESULTS,
    "ai_gateway_tenant_requests_total": _calls,
    "ai_gateway_quota_bucket_fill_ratio": lambda estate: estate.tenant_providers,
    "ai_gateway_quota_headroom_ratio": _offers,
    "ai_gateway_credentials_issued_total": lambda estate: estate.providers,
    "ai_gateway_scope_denials_total": lambda estate: estate.tenants,
    "ai_gateway_zone_violations_total": lambda estate: estate.tenant_outside_regions,
    "ai_gateway_refusals_total": lambda estate: estate.aliases * _REFUSALS,
    "ai_gateway_eval_score": lambda estate: estate.aliases,
    "ai_gateway_response_tokens": lambda estate: estate.alias_features,
    "ai_gateway_postcondition_violations_total": lambda estate: estate.alias_models,
    "ai_gateway_audit_records_total": lambda _: 1,
    "ai_gateway_up": lambda _: 1,
    "ai_gateway_local_queue_depth": lambda estate: estate.served_models,
}

# Label sets in Prometheus: instances are aggregated away.
RECORDED_COUNTS: dict[str, Count] = {
    "tier:provider:info": lambda estate: estate.declared_regions,
    "tier:gateway:expected_instances:count": lambda _: 1,
    "tier:provider:requests:rate5m": lambda estate: _offers(estate) * _STATUSES,
    "tier:provider:requests:increase1m": lambda estate: _provider_regions(estate) * _STATUSES,
    "tier:provider:requests:increase5m": _offers,
    "tier:provider:errors:rate5m": lambda estate: _offers(estate) * _CODES,
    "tier:provider:latency_seconds:p50_5m": _offers,
    "tier:provider:latency_seconds:p95_5m": _offers,
    "tier:provider:latency_seconds:p99_5m": _offers,
    "tier:provider:ttft_seconds:p95_5m": _offers,
    "tier:provider:tokens:rate5m": lambda estate: _offers(estate) * _DIRECTIONS,
    "tier:provider:quota_headroom:ratio": _offers,
    "tier:gateway:healthy_instances:count": lambda _: 1,
    "tier:gateway:audit_completeness:ratio5m": lambda _: 1,
    "tier:tenant:zone_violations:increase1d": lambda estate: estate.tenant_outside_regions,
    "tier:alias:requests:rate5m": lambda estate: estate.candidates,
    "tier:provider:error_ratio:rate5m": _offers,
    "tier:provider:region_error_ratio:rate5m": _provider_regions,
    "tier:provider:throttle_ratio:rate5m": _offers,
    "tier:provider:latency_seconds:p95_5m:normal": _offers,
    "tier:provider:latency_seconds:p95_5m:baseline": _offers,
    "tier:provider:latency_seconds:p95_5m:threshold": _offers,
    "tier:provider:error_ratio:rate5m:threshold": _offers,
    "tier:provider:error_ratio:rate5m:normal": _offers,
    "tier:provider:error_ratio:rate5m:baseline": _offers,
}
