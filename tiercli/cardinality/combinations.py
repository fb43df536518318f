"""How many label sets each metric of the contract and each recorded series can have.

A metric's labels are a product of relations: combinations that the catalog allows, and labels with a fixed number of values.
A test holds the first table equal to signals/contract.py, and the second to the labels of signals/recorded.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tiercli.cardinality.estate import EstateCounts, Labels
from tiercli.signals.contract import ERROR_CODES
from tiercli.signals.recorded import Recorded

Count = Callable[[EstateCounts], int]


@dataclass(frozen=True, slots=True)
class Relation:
    """Labels that depend on each other, and how many distinct combinations of some of them there are. `said`: what is
    counted, in words."""

    labels: tuple[str, ...]
    counting: Callable[[EstateCounts, Labels], int]
    said: str

    def count(self, estate: EstateCounts, kept: Labels) -> int:
        """How many distinct combinations of `kept` there are; worked out once."""
        key = (self.counting, kept.intersection(self.labels))
        if key not in estate.known:
            estate.known[key] = self.counting(estate, key[1])
        return estate.known[key]


def _values(label: str, count: int) -> Relation:
    return Relation((label,), lambda _, kept: count if label in kept else 1, f"values of {label}")


OFFERS = Relation(("provider", "model", "region"), EstateCounts.offers, "models by provider and region")
CANDIDATES = Relation(
    ("alias", "provider", "model", "region", "fallback_step"), EstateCounts.candidates, "candidates of aliases"
)
FALLS = Relation(("alias", "from", "to"), EstateCounts.falls, "steps from one candidate to the next")
ALIAS_MODELS = Relation(("provider", "model", "alias"), EstateCounts.alias_models, "models of aliases by provider")
ALIASES = Relation(("alias",), EstateCounts.aliases, "aliases")
PROVIDERS = Relation(("provider",), EstateCounts.providers, "providers")
SERVED_MODELS = Relation(("model", "server"), EstateCounts.served_models, "models by local server")
TENANTS = Relation(("tenant",), EstateCounts.tenants, "tenants")
SPENDING = Relation(("tenant", "feature", "alias"), EstateCounts.spending, "features and aliases of each tenant")
CALLS = Relation(
    ("tenant", "region", "status"), EstateCounts.calls, "regions of each tenant's aliases by result, and refused calls"
)
TENANT_PROVIDERS = Relation(("tenant", "provider"), EstateCounts.tenant_providers, "providers of each tenant's aliases")
OUTSIDE = Relation(("tenant", "region"), EstateCounts.tenant_outside_regions, "regions outside each tenant's zone")
STATUSES = _values("status", 2)  # success, failure
CODES = _values("code", len(ERROR_CODES))
REASONS = _values("reason", len(ERROR_CODES))
DIRECTIONS = _values("direction", 4)  # input, output, cache_read, cache_write
VERSIONS = _values("version", 1)
CACHE_KINDS = _values("kind", 2)  # exact, semantic
CACHE_RESULTS = _values("result", 2)  # hit, miss
REFUSALS = _values("kind", 2)  # by the model, by routing

CONTRACT_RELATIONS: dict[str, tuple[Relation, ...]] = {
    "ai_gateway_requests_total": (OFFERS, STATUSES),
    "ai_gateway_errors_total": (OFFERS, CODES),
    "ai_gateway_request_duration_seconds": (OFFERS,),
    "ai_gateway_time_to_first_token_seconds": (OFFERS,),
    "ai_gateway_tokens_total": (OFFERS, DIRECTIONS),
    "ai_gateway_cost_usd_total": (SPENDING,),
    "ai_gateway_unpriced_requests_total": (OFFERS,),
    "ai_gateway_price_book_info": (VERSIONS,),
    "ai_gateway_tenant_tokens_total": (TENANTS, DIRECTIONS),
    "ai_gateway_alias_requests_total": (CANDIDATES,),
    "ai_gateway_fallbacks_total": (FALLS, REASONS),
    "ai_gateway_cache_lookups_total": (ALIASES, CACHE_KINDS, CACHE_RESULTS),
    "ai_gateway_tenant_requests_total": (CALLS,),
    "ai_gateway_quota_bucket_fill_ratio": (TENANT_PROVIDERS,),
    "ai_gateway_quota_headroom_ratio": (OFFERS,),
    "ai_gateway_credentials_issued_total": (PROVIDERS,),
    "ai_gateway_scope_denials_total": (TENANTS,),
    "ai_gateway_zone_violations_total": (OUTSIDE,),
    "ai_gateway_refusals_total": (ALIASES, REFUSALS),
    "ai_gateway_eval_score": (ALIASES,),
    "ai_gateway_response_tokens": (Relation(("alias", "feature"), EstateCounts.spending, "features by alias"),),
    "ai_gateway_postcondition_violations_total": (ALIAS_MODELS,),
    "ai_gateway_audit_records_total": (),
    "ai_gateway_up": (),
    "ai_gateway_local_queue_depth": (SERVED_MODELS,),
}


def relation_counts(metric: str, estate: EstateCounts, kept: Iterable[str]) -> list[tuple[int, Relation]]:
    """The factors whose product is the number of label sets of one gateway instance, each with its relation: of a metric of
    the contract that has the labels `kept`. A relation of which no label is kept is 1, or 0 where nothing is allowed."""
    labels = frozenset(kept)
    return [(relation.count(estate, labels), relation) for relation in CONTRACT_RELATIONS[metric]]


def count_label_sets(metric: str, estate: EstateCounts, kept: Iterable[str]) -> int:
    """The label sets of one gateway instance, likewise."""
    product = 1
    for count, _ in relation_counts(metric, estate, kept):
        product *= count
    return product


def _product(*relations: Relation) -> Count:
    """All labels of some relations."""

    def count(estate: EstateCounts) -> int:
        total = 1
        for relation in relations:
            total *= relation.count(estate, frozenset(relation.labels))
        return total

    return count


def _only(relation: Relation, *labels: str) -> Count:
    """Some labels of a relation."""
    return lambda estate: relation.count(estate, frozenset(labels))


# Label sets in Prometheus, where instances are aggregated away, by the labels of a recorded series.
_BY_LABELS: dict[tuple[str, ...], Count] = {
    (): lambda _: 1,
    ("provider", "region", "tier"): lambda estate: estate.declared_regions,
    ("provider", "region"): _only(OFFERS, "provider", "region"),
    ("provider", "region", "status"): lambda estate: OFFERS.count(estate, frozenset(("provider", "region"))) * 2,
    ("provider", "model", "region"): _product(OFFERS),
    ("provider", "model", "region", "status"): _product(OFFERS, STATUSES),
    ("provider", "model", "region", "code"): _product(OFFERS, CODES),
    ("provider", "model", "region", "direction"): _product(OFFERS, DIRECTIONS),
    ("provider", "model", "alias"): _product(ALIAS_MODELS),
    ("provider", "model", "direction"): lambda estate: estate.prices,
    ("provider",): _product(PROVIDERS),
    ("tier",): lambda estate: estate.tiers,
    ("tier", "direction"): lambda estate: estate.tiers * 4,
    ("from_tier", "to_tier"): lambda estate: estate.tier_falls,
    ("version",): lambda _: 1,
    ("deployment", "provider", "model", "region"): lambda estate: estate.deployments,
    ("alias", "provider", "region", "tier"): _product(ALIASES),
    ("alias", "provider", "model", "region", "fallback_step"): _product(CANDIDATES),
    ("alias", "fallback_step"): _only(CANDIDATES, "alias", "fallback_step"),
    ("alias", "from", "to", "reason"): _product(FALLS, REASONS),
    ("alias", "kind", "result"): _product(ALIASES, CACHE_KINDS, CACHE_RESULTS),
    ("alias", "kind"): _product(ALIASES, REFUSALS),
    ("alias",): _product(ALIASES),
    ("tenant", "zone"): _product(TENANTS),
    ("tenant", "region", "status"): _product(CALLS),
    ("tenant", "direction"): _product(TENANTS, DIRECTIONS),
    ("tenant", "feature"): lambda estate: estate.tenant_features(frozenset(("tenant", "feature"))),
    ("tenant", "provider"): _product(TENANT_PROVIDERS),
    ("tenant", "region"): _product(OUTSIDE),
    ("tenant", "month"): _product(TENANTS),
    ("tenant",): _product(TENANTS),
    ("month",): lambda _: 1,
    ("signal", "subject"): lambda estate: (
        4 * estate.aliases(frozenset(("alias",)))
        + 3 * OFFERS.count(estate, frozenset(OFFERS.labels))
        + ALIAS_MODELS.count(estate, frozenset(ALIAS_MODELS.labels))
    ),
    ("server", "provider", "region"): lambda estate: estate.servers,
    ("model", "server"): _product(SERVED_MODELS),
    ("model", "server", "direction"): lambda estate: SERVED_MODELS.count(estate, frozenset(SERVED_MODELS.labels)) * 2,
    ("instance", "gpu"): lambda estate: estate.gpus,
}
# Series whose labels do not say it all.
_BY_NAME: dict[str, Count] = {
    "tier:provider:gpu_cost_usd:rate": lambda estate: estate.priced_gpu_regions,
    "tier:alias:eval_score:target": lambda estate: estate.eval_targets,
}


def count_identities(labels: tuple[str, ...], estate: EstateCounts) -> int | None:
    """The most combinations of `labels`, in any order; None when no recorded series has exactly these."""
    count = next((count for known, count in _BY_LABELS.items() if sorted(known) == sorted(labels)), None)
    return None if count is None else count(estate)


def count_recorded(series: Recorded, estate: EstateCounts) -> int:
    """The most label sets that a recorded series can have."""
    return (_BY_NAME.get(series.name) or _BY_LABELS[series.labels])(estate)
