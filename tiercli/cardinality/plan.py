"""How many series the estate makes: counted from the combinations that the catalog allows, never by building them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiercli.catalog.model import Catalog, SeriesBudget
from tiercli.signals.contract import CONTRACT, ERROR_CODES, Metric, MetricType
from tiercli.signals.recorded import RECORDED, Recorded

STATUSES = 2
DIRECTIONS = 4
TENANT_DIRECTIONS = 2
CACHE_KINDS, CACHE_RESULTS = 2, 2
REFUSAL_KINDS = 2
SCRAPE_SERIES = 5  # up and scrape_*: what Prometheus adds a target


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """How many series one metric has in Prometheus at the most."""

    name: str
    labels: tuple[str, ...]
    series: int
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """What a catalog has of everything that becomes a label value, allowed combinations only."""

    offers: int
    provider_regions: int
    providers: int
    tenants: int
    aliases: int
    tenant_features: int
    tenant_feature_aliases: int
    tenant_regions: int
    tenant_providers: int
    alias_candidates: int
    alias_offers: int
    alias_features: int
    alias_models: int
    fallbacks: int
    servers: int
    instances: int


def count_catalog(catalog: Catalog) -> Counts:
    """Count once; every metric's series follow from these."""
    candidates = {name: len(alias.candidates) for name, alias in catalog.aliases.items()}
    regions_of, providers_of, features_of = _reach(catalog)
    callers = [catalog.tenant_aliases(tenant) for tenant in catalog.tenants.values()]
    return Counts(
        offers=sum(1 for _ in catalog.offers()),
        provider_regions=sum(1 for _ in catalog.provider_regions()),
        providers=len(catalog.providers),
        tenants=len(catalog.tenants),
        aliases=len(catalog.aliases),
        tenant_features=sum(len(tenant.features) for tenant in catalog.tenants.values()),
        tenant_feature_aliases=sum(
            len(tenant.features) * len(aliases)
            for tenant, aliases in zip(catalog.tenants.values(), callers, strict=True)
        ),
        tenant_regions=sum(regions_of.values()),
        tenant_providers=sum(providers_of.values()),
        alias_candidates=sum(candidates.values()),
        alias_offers=sum(candidates.values()),
        alias_features=sum(features_of.values()),
        alias_models=sum(
            len({(one.provider, one.model) for one in alias.candidates}) for alias in catalog.aliases.values()
        ),
        fallbacks=sum(count * (count - 1) // 2 for count in candidates.values()),
        servers=sum(
            len(server.models) for provider in catalog.providers.values() for server in provider.servers.values()
        ),
        instances=len(catalog.gateway.targets),
    )


def _reach(catalog: Catalog) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Regions and providers that each tenant can be served in, features that each alias can be called from."""
    regions = {name: {one.region for one in alias.candidates} for name, alias in catalog.aliases.items()}
    providers = {name: {one.provider for one in alias.candidates} for name, alias in catalog.aliases.items()}
    features: dict[str, set[str]] = {name: set() for name in catalog.aliases}
    by_aliases: dict[tuple[str, ...], tuple[int, int]] = {}
    tenant_regions, tenant_providers = {}, {}
    for name, tenant in catalog.tenants.items():
        called = catalog.tenant_aliases(tenant)
        if called not in by_aliases:
            by_aliases[called] = (
                len(set().union(*(regions[alias] for alias in called))),
                len(set().union(*(providers[alias] for alias in called))),
            )
        tenant_regions[name], tenant_providers[name] = by_aliases[called]
        for alias in called:
            features[alias].update(tenant.features)
    return tenant_regions, tenant_providers, {name: len(found) for name, found in features.items()}


def plan_series(catalog: Catalog) -> list[MetricPlan]:
    """Every metric of the contract and every recorded series, largest first."""
    counts = count_catalog(catalog)
    combinations = _combinations(counts)
    plans = []
    for metric in CONTRACT:
        instances = 1 if metric.name == "ai_gateway_local_queue_depth" else counts.instances
        series = combinations[metric.name] * _samples(metric) * instances
        plans.append(MetricPlan(metric.name, metric.labels, series))
    plans += [MetricPlan(one.name, one.labels, _recorded(one, counts), recorded=True) for one in RECORDED]
    targets = counts.instances + counts.servers
    plans.append(MetricPlan("up and scrape_*", ("job", "instance"), SCRAPE_SERIES * targets))
    return sorted(plans, key=lambda plan: (-plan.series, plan.name))


def _samples(metric: Metric) -> int:
    """Series a label set: one, or for a histogram its buckets, +Inf, sum and count."""
    return len(metric.buckets) + 3 if metric.type is MetricType.HISTOGRAM else 1


def _combinations(counts: Counts) -> Mapping[str, int]:
    """Label sets a gateway instance can expose, by metric."""
    return {
        "ai_gateway_requests_total": counts.offers * STATUSES,
        "ai_gateway_errors_total": counts.offers * len(ERROR_CODES),
        "ai_gateway_request_duration_seconds": counts.offers,
        "ai_gateway_time_to_first_token_seconds": counts.offers,
        "ai_gateway_tokens_total": counts.offers * DIRECTIONS,
        "ai_gateway_cost_usd_total": counts.tenant_feature_aliases,
        "ai_gateway_unpriced_requests_total": counts.offers,
        "ai_gateway_price_book_info": 1,
        "ai_gateway_tenant_tokens_total": counts.tenants * TENANT_DIRECTIONS,
        "ai_gateway_alias_requests_total": counts.alias_candidates,
        "ai_gateway_fallbacks_total": counts.fallbacks * len(ERROR_CODES),
        "ai_gateway_cache_lookups_total": counts.aliases * CACHE_KINDS * CACHE_RESULTS,
        "ai_gateway_tenant_requests_total": counts.tenant_regions * STATUSES,
        "ai_gateway_quota_bucket_fill_ratio": counts.tenant_providers,
        "ai_gateway_quota_headroom_ratio": counts.offers,
        "ai_gateway_credentials_issued_total": counts.providers,
        "ai_gateway_scope_denials_total": counts.tenants,
        "ai_gateway_zone_violations_total": counts.tenant_regions,
        "ai_gateway_refusals_total": counts.aliases * REFUSAL_KINDS,
        "ai_gateway_eval_score": counts.aliases,
        "ai_gateway_response_tokens": counts.alias_features,
        "ai_gateway_postcondition_violations_total": counts.alias_models,
        "ai_gateway_audit_records_total": 1,
        "ai_gateway_up": 1,
        "ai_gateway_local_queue_depth": counts.servers,
    }


_EXTRA = {"status": STATUSES, "code": len(ERROR_CODES), "direction": DIRECTIONS}


def _recorded(series: Recorded, counts: Counts) -> int:
    labels = set(series.labels)
    if not labels:
        return 1
    extra = 1
    for label in labels & set(_EXTRA):
        extra *= _EXTRA[label]
    base = labels - set(_EXTRA)
    if "alias" in base:
        return counts.alias_offers * extra
    if "tenant" in base:
        return counts.tenant_regions * extra
    if "model" in base:
        return counts.offers * extra
    return counts.provider_regions * extra


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A metric against its budget; `budget` None where it has none of its own."""

    plan: MetricPlan
    budget: SeriesBudget | None

    @property
    def over(self) -> bool:
        """Whether it exceeds its budget."""
        return self.budget is not None and self.plan.series > self.budget.series


@dataclass(frozen=True, slots=True)
class BudgetVerdict:
    """A plan against its budgets."""

    lines: tuple[BudgetLine, ...]
    total: int
    budget: SeriesBudget

    @property
    def over(self) -> tuple[str, ...]:
        """What exceeds its budget, a sentence each."""
        said = [
            f"{line.plan.name}: {line.plan.series} series, budget {line.budget.series} ({line.budget.owner}: {line.budget.reason})"
            for line in self.lines
            if line.over and line.budget is not None
        ]
        if self.total > self.budget.series:
            said.append(
                f"total: {self.total} series, budget {self.budget.series} ({self.budget.owner}: {self.budget.reason})"
            )
        return tuple(said)


def judge_budgets(catalog: Catalog) -> BudgetVerdict:
    """The plan of a catalog against the budgets that it states."""
    budgets = catalog.cardinality.metrics
    lines = tuple(BudgetLine(plan, budgets.get(plan.name)) for plan in plan_series(catalog))
    return BudgetVerdict(lines, sum(line.plan.series for line in lines), catalog.cardinality.total)
