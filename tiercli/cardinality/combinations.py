"""How many label sets each metric of the contract and each recorded series can have.

A test holds the first table equal to signals/contract.py, and the second to the labels of signals/recorded.py.
"""

from __future__ import annotations

from collections.abc import Callable

from tiercli.cardinality.estate import EstateCounts
from tiercli.signals.contract import ERROR_CODES
from tiercli.signals.recorded import Recorded

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

# Label sets in Prometheus, where instances are aggregated away, by the labels of a recorded series.
_BY_LABELS: dict[tuple[str, ...], Count] = {
    (): lambda _: 1,
    ("provider", "region", "tier"): lambda estate: estate.declared_regions,
    ("provider", "region"): _provider_regions,
    ("provider", "region", "status"): lambda estate: _provider_regions(estate) * _STATUSES,
    ("provider", "model", "region"): _offers,
    ("provider", "model", "region", "status"): lambda estate: _offers(estate) * _STATUSES,
    ("provider", "model", "region", "code"): lambda estate: _offers(estate) * _CODES,
    ("provider", "model", "region", "direction"): lambda estate: _offers(estate) * _DIRECTIONS,
    ("provider", "model", "alias"): lambda estate: estate.alias_models,
    ("provider", "model", "direction"): lambda estate: estate.prices,
    ("provider",): lambda estate: estate.providers,
    ("tier",): lambda estate: estate.tiers,
    ("tier", "direction"): lambda estate: estate.tiers * _DIRECTIONS,
    ("from_tier", "to_tier"): lambda estate: estate.tiers**2,
    ("version",): lambda _: 1,
    ("deployment", "provider", "model", "region"): lambda estate: estate.deployments,
    ("alias", "provider", "region", "tier"): lambda estate: estate.aliases,
    ("alias", "provider", "model", "region", "fallback_step"): lambda estate: estate.candidates,
    ("alias", "fallback_step"): lambda estate: estate.candidates,
    ("alias", "from", "to", "reason"): lambda estate: estate.falls * _CODES,
    ("alias", "kind", "result"): lambda estate: estate.aliases * _CACHE_RESULTS,
    ("alias", "kind"): lambda estate: estate.aliases * _REFUSALS,
    ("alias",): lambda estate: estate.aliases,
    ("tenant", "zone"): lambda estate: estate.tenants,
    ("tenant", "region", "status"): _calls,
    ("tenant", "direction"): lambda estate: estate.tenants * _DIRECTIONS,
    ("tenant", "feature"): lambda estate: estate.tenant_features,
    ("tenant", "provider"): lambda estate: estate.tenant_providers,
    ("tenant", "region"): lambda estate: estate.tenant_outside_regions,
    ("tenant", "month"): lambda estate: estate.tenants,
    ("tenant",): lambda estate: estate.tenants,
    ("month",): lambda _: 1,
    ("signal", "subject"): lambda estate: 4 * estate.aliases + 3 * _offers(estate) + estate.alias_models,
    ("server", "provider", "region"): lambda estate: estate.servers,
    ("model", "server"): lambda estate: estate.served_models,
    ("model", "server", "direction"): lambda estate: estate.served_models * 2,
    ("instance", "gpu"): lambda estate: estate.gpus,
}
# Series whose labels do not say it all.
_BY_NAME: dict[str, Count] = {
    "tier:provider:gpu_cost_usd:rate": lambda estate: estate.priced_gpu_regions,
}


def count_identities(labels: tuple[str, ...], estate: EstateCounts) -> int | None:
    """The most combinations of `labels`, in any order; None when no recorded series has exactly these."""
    count = next((count for known, count in _BY_LABELS.items() if sorted(known) == sorted(labels)), None)
    return None if count is None else count(estate)


def count_recorded(series: Recorded, estate: EstateCounts) -> int:
    """The most label sets that a recorded series can have."""
    return (_BY_NAME.get(series.name) or _BY_LABELS[series.labels])(estate)
