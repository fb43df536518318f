"""Facts that only the catalog has, as constant recorded series that queries can join."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

from tiercli.catalog.model import Catalog, Tenant
from tiercli.rules.thresholds import number
from tiercli.signals.label_policy import metric_policies
from tiercli.signals.rule import Rule, recording_rule
from tiercli.signals.sources import local_targets

EXPECTED_TARGETS = "tier:server:expected_targets:count"
EVAL_TARGETS = "tier:alias:eval_score:target"
# All of them, including those that a catalog may not have.
CONSTANT_SERIES = frozenset(
    {
        "tier:provider:info",
        "tier:provider:typical_p95:seconds",
        "tier:provider:typical_errors:ratio",
        "tier:provider:price_usd_per_token",
        "tier:provider:gpu_cost_usd:rate",
        "tier:gateway:expected_instances:count",
        "tier:gateway:deployment_info",
        "tier:alias:primary_info",
        EVAL_TARGETS,
        "tier:server:info",
        EXPECTED_TARGETS,
        "tier:tenant:budget_usd",
    }
)
TENANT_BUDGETS = "tier:tenant:budget_usd"
# Budgets are joined with this metric, so they are grouped like its tenants.
TENANT_COST = "ai_gateway_cost_usd_total"
# The zone of a group of tenants from more than one zone.
SEVERAL_ZONES = "several"
_TOKENS_PER_PRICE = 1_000_000


def constant_records(catalog: Catalog) -> Iterator[Rule]:
    """A recording rule for each constant of `catalog`."""
    for provider, region in catalog.provider_regions():
        labels = {"provider": provider, "region": region, "tier": catalog.providers[provider].tier}
        yield recording_rule("tier:provider:info", "vector(1)", labels)
        yield from _typical(catalog, provider, region)
    yield _constant("tier:gateway:expected_instances:count", len(catalog.gateway.targets))
    for name, deployment in catalog.gateway.deployments.items():
        yield _constant("tier:gateway:deployment_info", 1, deployment=name, **deployment.model_dump())
    for name, alias in catalog.aliases.items():
        primary = alias.candidates[0]
        tier = catalog.providers[primary.provider].tier
        yield _constant(
            "tier:alias:primary_info", 1, alias=name, provider=primary.provider, region=primary.region, tier=tier
        )
        if alias.eval_baseline is not None:
            yield _constant(EVAL_TARGETS, alias.eval_baseline, alias=name)
    yield from _prices(catalog)
    yield from _servers(catalog)
    yield from _budgets(catalog)


def constant_names(catalog: Catalog) -> set[str]:
    """The series of constant_records."""
    few = catalog.model_copy(update={"tenants": dict(islice(catalog.tenants.items(), 1))})
    return {record.name for record in constant_records(few)}


def _typical(catalog: Catalog, provider: str, region: str) -> Iterator[Rule]:
    """What the catalog states, and not the defaults, which are the sandbox's."""
    typical = catalog.providers[provider].regions[region].typical
    stated = typical.model_fields_set
    if "p95_seconds" in stated:
        yield _constant("tier:provider:typical_p95:seconds", typical.p95_seconds, provider=provider, region=region)
    if "error_ratio" in stated:
        yield _constant("tier:provider:typical_errors:ratio", typical.error_ratio, provider=provider, region=region)


def _budgets(catalog: Catalog) -> Iterator[Rule]:
    groups = metric_policies(catalog)[TENANT_COST].recorded
    rest: list[Tenant] = []
    for name, tenant in catalog.tenants.items():
        if groups is None or name in groups.kept:
            yield _constant(TENANT_BUDGETS, tenant.budget_usd_per_month, tenant=name, zone=tenant.zone)
        else:
            rest.append(tenant)
    if rest and groups is not None:
        zones = {tenant.zone for tenant in rest}
        zone = next(iter(zones)) if len(zones) == 1 else SEVERAL_ZONES
        yield _constant(
            TENANT_BUDGETS, math.fsum(tenant.budget_usd_per_month for tenant in rest), tenant=groups.rest, zone=zone
        )


def _prices(catalog: Catalog) -> Iterator[Rule]:
    for provider, models in catalog.price_book.models.items():
        for model, price in models.items():
            for direction, usd in price.model_dump(exclude_none=True).items():
                labels = {"provider": provider, "model": model, "direction": direction}
                yield _constant("tier:provider:price_usd_per_token", usd / _TOKENS_PER_PRICE, **labels)


def _servers(catalog: Catalog) -> Iterator[Rule]:
    gpus: dict[tuple[str, str], int] = {}
    for provider, name, server in catalog.servers():
        gpus[provider, server.region] = gpus.get((provider, server.region), 0) + server.gpus
        yield _constant("tier:server:info", server.gpus, server=name, provider=provider, region=server.region)
    for targets in local_targets(catalog):
        yield _constant(EXPECTED_TARGETS, len(targets.addresses), job=targets.job, target=targets.target)
    usd_per_hour = catalog.price_book.gpu_usd_per_hour
    for (provider, region), count in gpus.items() if usd_per_hour is not None else ():
        usd_per_s = count * (usd_per_hour or 0) / 3600
        yield _constant("tier:provider:gpu_cost_usd:rate", usd_per_s, provider=provider, region=region)


def _constant(name: str, value: float, **labels: str) -> Rule:
    return recording_rule(name, f"vector({number(value)})", labels)
