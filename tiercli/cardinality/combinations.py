"""How many label sets each metric of the contract and each recorded series can have.

A metric's labels are a product of relations: combinations that the catalog allows, and labels with a fixed number of values.
A test holds the first table equal to signals/contract.py, and the second to the labels of signals/recorded.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from tiercli.cardinality.estate import EstateCounts, Labels
from tiercli.catalog.model import Candidate, Catalog, Offer
from tiercli.conventions import SERVERS_JOB
from tiercli.errors import InvalidInput
from tiercli.signals.contract import ERROR_CODES
from tiercli.signals.recorded import Recorded
from tiercli.signals.sources import local_targets


@dataclass(frozen=True, slots=True)
class Relation:
    """Labels that depend on each other, and how many distinct combinations of some of them there are. `what`: what is
    counted, in words."""

    labels: tuple[str, ...]
    counting: Callable[[EstateCounts, Labels], int]
    what: str

    def count(self, estate: EstateCounts, kept: Iterable[str]) -> int:
        """How many distinct combinations of the labels in `kept` there are; worked out once."""
        key = (self.counting, frozenset(kept).intersection(self.labels))
        if key not in estate.known:
            estate.known[key] = self.counting(estate, key[1])
        return estate.known[key]


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a number of label sets: `count` combinations of `labels`, in words."""

    count: int
    labels: tuple[str, ...]
    what: str


def _values(label: str, count: int) -> Relation:
    return Relation((label,), lambda _, kept: count if label in kept else 1, f"values of {label}")


def _listed(labels: tuple[str, ...], rows: Callable[[Catalog], Iterable[tuple[object, ...]]], what: str) -> Relation:
    """A relation without tenants: it is as long as the catalog's own lists, so its combinations are listed."""

    def count(estate: EstateCounts, kept: Labels) -> int:
        places = [place for place, label in enumerate(labels) if label in kept]
        return len({tuple(row[place] for place in places) for row in rows(estate.catalog)})

    return Relation(labels, count, what)


def _candidates(catalog: Catalog) -> Iterable[tuple[str, str, str, str, int]]:
    for name, alias in catalog.aliases.items():
        for step, candidate in enumerate(alias.candidates):
            yield name, candidate.provider, candidate.model, candidate.region, step


def _falls(catalog: Catalog) -> Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    for name, chain in _chains(catalog):
        yield from ((name, *pair) for pair in pairwise(tuple(candidate.model_dump().values()) for candidate in chain))


def _chains(catalog: Catalog) -> Iterable[tuple[str, tuple[Candidate, ...]]]:
    """What is tried of each alias, in every way: where zones are enforced, candidates outside a tenant's are passed over."""
    zones = dict.fromkeys(tenant.zone for tenant in catalog.tenants.values())
    for name in catalog.aliases:
        for chain in dict.fromkeys(catalog.candidates_of(zone, name) for zone in zones):
            yield name, chain


def _tier_falls(catalog: Catalog) -> Iterable[tuple[str, str]]:
    tiers = {name: provider.tier for name, provider in catalog.providers.items()}
    for _, chain in _chains(catalog):
        yield from pairwise(tiers[candidate.provider] for candidate in chain)


def _prices(catalog: Catalog) -> Iterable[tuple[str, str, str]]:
    for provider, models in catalog.price_book.models.items():
        for model, price in models.items():
            yield from ((provider, model, key) for key, usd in price.model_dump().items() if usd is not None)


def _local_targets(catalog: Catalog) -> Iterable[tuple[str, str]]:
    for job, target, addresses in local_targets(catalog):
        yield job, target
        yield from ((job, address) for address in addresses if job != SERVERS_JOB)


def _subjects(estate: EstateCounts, _: Labels) -> int:
    """What drift is measured of: four signals of aliases, three of offers, one of an alias' models."""
    signals = ((4, ALIASES), (3, OFFERS), (1, ALIAS_MODELS))
    return sum(number * relation.count(estate, relation.labels) for number, relation in signals)


OFFERS = _listed(Offer._fields, Catalog.offers, "models by provider and region")
CANDIDATES = _listed(("alias", *Offer._fields, "fallback_step"), _candidates, "candidates of aliases")
FALLS = _listed(("alias", "from", "to"), _falls, "steps from one candidate to the next")
ALIAS_MODELS = _listed(
    ("provider", "model", "alias"),
    lambda catalog: ((provider, model, name) for name, provider, model, _, _ in _candidates(catalog)),
    "models of aliases by provider",
)
ALIASES = _listed(("alias",), lambda catalog: ((name,) for name in catalog.aliases), "aliases")
EVAL_TARGETS = _listed(
    ("alias",),
    lambda catalog: ((name,) for name, alias in catalog.aliases.items() if alias.eval_baseline is not None),
    "aliases whose evals are held to a score",
)
PROVIDERS = _listed(("provider",), lambda catalog: ((name,) for name in catalog.providers), "providers")
PRICES = _listed(("provider", "model", "direction"), _prices, "prices of the price book")
REGIONS = _listed(("provider", "region"), Catalog.provider_regions, "regions, whether or not a model is offered there")
TIERS = _listed(("tier",), lambda catalog: ((provider.tier,) for provider in catalog.providers.values()), "tiers")
TIER_FALLS = _listed(("from_tier", "to_tier"), _tier_falls, "tiers of steps from one candidate to the next")
DEPLOYMENTS = _listed(
    ("deployment",), lambda catalog: ((name,) for name in catalog.gateway.deployments), "deployments of the gateway"
)
SERVERS = _listed(
    ("server", "provider"), lambda catalog: ((name, provider) for provider, name, _ in catalog.servers()), "servers"
)
SERVED_MODELS = _listed(
    ("model", "server"),
    lambda catalog: ((model, name) for _, name, server in catalog.servers() for model in server.models),
    "models by local server",
)
GPUS = _listed(
    ("instance", "gpu"),
    lambda catalog: (
        ((provider, name), gpu) for provider, name, server in catalog.servers() for gpu in range(server.gpus)
    ),
    "GPUs",
)
EXPECTED_TARGETS = _listed(
    ("job", "target"),
    lambda catalog: ((job, target) for job, target, _ in local_targets(catalog)),
    "servers with metrics and sources of GPUs",
)
LOCAL_TARGETS = _listed(("job", "target"), _local_targets, "targets of the local tier, and missing exporters")
PRICED_GPU_REGIONS = _listed(
    ("provider", "region"),
    lambda catalog: (
        (provider, server.region)
        for provider, _, server in catalog.servers()
        if catalog.price_book.gpu_usd_per_hour is not None
    ),
    "regions of servers whose GPU hours have a price",
)
SUBJECTS = Relation(("signal", "subject"), _subjects, "signals of aliases and of models")
TENANTS = Relation(("tenant",), EstateCounts.tenants, "tenants")
TENANT_FEATURES = Relation(("tenant", "feature"), EstateCounts.tenant_features, "features of each tenant")
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
SERVER_DIRECTIONS = _values("direction", 2)  # input, output
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
    "ai_gateway_alias_request_duration_seconds": (ALIASES,),
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
    "ai_gateway_audit_bytes_total": (),
    "ai_gateway_up": (),
    "ai_gateway_local_queue_depth": (SERVED_MODELS,),
}
# Label sets in Prometheus, where instances are aggregated away, by the labels of a recorded series. A label without a relation
# depends on the others.
_RECORDED_RELATIONS: dict[tuple[str, ...], tuple[Relation, ...]] = {
    (): (),
    ("provider", "region", "tier"): (REGIONS,),
    ("provider", "region"): (OFFERS,),
    ("provider", "region", "status"): (OFFERS, STATUSES),
    ("provider", "model", "region"): (OFFERS,),
    ("provider", "model", "region", "status"): (OFFERS, STATUSES),
    ("provider", "model", "region", "code"): (OFFERS, CODES),
    ("provider", "model", "region", "direction"): (OFFERS, DIRECTIONS),
    ("provider", "model", "alias"): (ALIAS_MODELS,),
    ("provider", "model", "direction"): (PRICES,),
    ("provider",): (PROVIDERS,),
    ("tier",): (TIERS,),
    ("tier", "direction"): (TIERS, DIRECTIONS),
    ("from_tier", "to_tier"): (TIER_FALLS,),
    ("version",): (VERSIONS,),
    ("deployment", "provider", "model", "region"): (DEPLOYMENTS,),
    ("alias", "provider", "region", "tier"): (ALIASES,),
    ("alias", "provider", "model", "region", "fallback_step"): (CANDIDATES,),
    ("alias", "fallback_step"): (CANDIDATES,),
    ("alias", "from", "to", "reason"): (FALLS, REASONS),
    ("alias", "kind", "result"): (ALIASES, CACHE_KINDS, CACHE_RESULTS),
    ("alias", "kind"): (ALIASES, REFUSALS),
    ("alias",): (ALIASES,),
    ("tenant", "zone"): (TENANTS,),
    ("tenant", "region", "status"): (CALLS,),
    ("tenant", "direction"): (TENANTS, DIRECTIONS),
    ("tenant", "feature"): (TENANT_FEATURES,),
    ("tenant", "provider"): (TENANT_PROVIDERS,),
    ("tenant", "region"): (OUTSIDE,),
    ("tenant", "month"): (TENANTS,),
    ("tenant",): (TENANTS,),
    ("month",): (),
    ("signal", "subject"): (SUBJECTS,),
    ("server", "provider", "region"): (SERVERS,),
    ("model", "server"): (SERVED_MODELS,),
    ("model", "server", "direction"): (SERVED_MODELS, SERVER_DIRECTIONS),
    ("instance", "gpu"): (GPUS,),
    ("job", "target"): (LOCAL_TARGETS,),
}
_BY_LABELS = {frozenset(labels): relations for labels, relations in _RECORDED_RELATIONS.items()}
# Series that have fewer label sets than their labels say, or more: calls of an unknown tenant have an empty one.
_BY_NAME: dict[str, tuple[Relation, ...]] = {
    "tier:tenant:calls:grown": (CALLS,),
    "tier:tenant:calls:lead": (CALLS,),
    "tier:provider:gpu_cost_usd:rate": (PRICED_GPU_REGIONS,),
    "tier:alias:eval_score:target": (EVAL_TARGETS,),
    "tier:server:expected_targets:count": (EXPECTED_TARGETS,),
}


def contract_factors(metric: str, estate: EstateCounts, kept: Iterable[str]) -> list[Factor]:
    """The factors whose product is the number of label sets of one gateway instance: of a metric of the contract that has the
    labels `kept`. A relation of which no label is kept is 1, or 0 where nothing is allowed."""
    labels = tuple(kept)
    return [
        Factor(relation.count(estate, labels), tuple(filter(labels.__contains__, relation.labels)), relation.what)
        for relation in CONTRACT_RELATIONS[metric]
    ]


def count_label_sets(metric: str, estate: EstateCounts, kept: Iterable[str]) -> int:
    """The label sets of one gateway instance, likewise."""
    return prod(factor.count for factor in contract_factors(metric, estate, kept))


def count_values(metric: str, label: str, estate: EstateCounts) -> int:
    """How many values a label of a metric of the contract has, of those that the catalog knows."""
    relation = next(relation for relation in CONTRACT_RELATIONS[metric] if label in relation.labels)
    return relation.count(estate, (label,))


def count_recorded(series: Recorded, estate: EstateCounts) -> int:
    """The most label sets that a recorded series can have."""
    relations = _BY_NAME.get(series.name) or _BY_LABELS[frozenset(series.labels)]
    return prod(relation.count(estate, series.labels) for relation in relations)


def count_alerts(alarm: str, labels: tuple[str, ...], estate: EstateCounts) -> int:
    """The most alerts that an alarm can have at once: combinations of the labels that tell them apart. Raises InvalidInput for
    a label that cannot be counted."""
    if (relations := _BY_LABELS.get(frozenset(labels))) is not None:
        return prod(relation.count(estate, labels) for relation in relations)
    single = {"tenant": TENANTS, "alias": ALIASES, "server": SERVERS}
    offer = [label for label in labels if label in Offer._fields]
    count = OFFERS.count(estate, offer) if offer else 1
    for label in labels:
        if label in single:
            count *= single[label].count(estate, (label,))
        elif label not in offer:
            accepted = ", ".join((*Offer._fields, *single))
            raise InvalidInput(f"alerts of {alarm} by {label!r} cannot be counted", hint=f"counted are: {accepted}")
    return count
