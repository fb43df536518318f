"""Entries of the catalog that are valid alone and contradict each other: prices, zones, budgets, latencies."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.catalog.model import Zone
from tiercli.catalog.names import unknown_name
from tiercli.catalog.view import CatalogView
from tiercli.errors import Problem

# The last finite bucket of the contract's duration histograms (a test holds it to signals/contract.py).
LAST_LATENCY_BUCKET_S = 120.0


def check_consistency(view: CatalogView) -> Iterator[Problem]:
    """Problems between entries whose references are valid."""
    yield from _tiers(view)
    yield from _typical(view)
    yield from _zones(view)
    if "price_book" not in view.missing:
        yield from _unpriced(view)
        yield from _unknown_prices(view)
    if "cardinality" not in view.missing:
        yield from _budgets(view)


def _tiers(view: CatalogView) -> Iterator[Problem]:
    for name, provider in view.catalog.providers.items():
        if provider.tier == "cloud" and provider.servers:
            message = f"cloud provider {name!r} has servers"
            yield Problem(view.at("providers", name, "servers", key=True), message, "servers only for tier: local")
        if provider.tier == "local" and not provider.servers:
            message = f"local provider {name!r} has no servers"
            yield Problem(view.at("providers", name, key=True), message, "servers, with region and models")


def _typical(view: CatalogView) -> Iterator[Problem]:
    for name, provider in view.catalog.providers.items():
        for region, settings in provider.regions.items():
            typical = settings.typical
            place = view.at("providers", name, "regions", region, "typical", "p95_seconds")
            if typical.p95_seconds < typical.p50_seconds:
                message = f"p95_seconds {typical.p95_seconds:g} is below p50_seconds {typical.p50_seconds:g}"
                yield Problem(place, message, "a p95 of at least the median")
            if typical.p95_seconds > LAST_LATENCY_BUCKET_S:
                message = f"p95_seconds {typical.p95_seconds:g} is above the last finite bucket: it cannot be measured"
                yield Problem(place, message, f"at most {LAST_LATENCY_BUCKET_S:g}")


def _zones(view: CatalogView) -> Iterator[Problem]:
    """Candidates that a tenant's aliases allow and its zone forbids. A gateway that enforces zones passes over them: one must be left."""
    catalog = view.catalog
    enforced = view.zones_enforced
    offers = set(catalog.offers())
    outside: dict[tuple[str, str], list[int]] = {}
    for zone_name, zone in catalog.zones.items():
        if zone.regions is None:
            continue
        for alias_name, alias in catalog.aliases.items():
            positions = [
                position
                for position, candidate in enumerate(alias.candidates)
                if candidate.region not in zone.regions
                and (candidate.provider, candidate.model, candidate.region) in offers  # otherwise reported elsewhere
            ]
            if positions and (not enforced or len(positions) == len(alias.candidates)):
                outside[zone_name, alias_name] = positions
    for name, tenant in catalog.tenants.items():
        zone_of_tenant = catalog.zones.get(tenant.zone)
        for alias_name in catalog.tenant_aliases(tenant) if zone_of_tenant else ():
            if enforced and (tenant.zone, alias_name) in outside:
                message = (
                    f"no candidate of alias {alias_name!r} is in zone {tenant.zone!r} of tenant {name!r}, which may call "
                    "that alias: every call would be refused"
                )
                yield Problem(
                    view.at("aliases", alias_name, "candidates"), message, _accepted(zone_of_tenant, "a candidate")
                )
                continue
            for position in outside.get((tenant.zone, alias_name), ()):
                candidate = catalog.aliases[alias_name].candidates[position]
                message = (
                    f"candidate {position} of alias {alias_name!r} ({candidate.provider} {candidate.model}) is in "
                    f"{candidate.region!r}, outside zone {tenant.zone!r} of tenant {name!r}, which may call that alias"
                )
                place = view.at("aliases", alias_name, "candidates", position)
                yield Problem(place, message, _accepted(zone_of_tenant, "candidates"))


def _accepted(zone: Zone | None, what: str) -> str:
    regions = ", ".join((zone.regions or ()) if zone is not None else ())
    return f"{what} in {regions}, or `aliases` of the tenant without it"


def _unpriced(view: CatalogView) -> Iterator[Problem]:
    book = view.catalog.price_book
    for name, provider in view.catalog.providers.items():
        declared = view.priced_models(name)
        unpriced = [model for model in provider.models if model not in declared]
        if provider.tier == "local":
            if unpriced and book.gpu_usd_per_hour is None:
                message = f"local provider {name!r} has no price"
                yield Problem(
                    view.at("price_book"), message, "gpu_usd_per_hour, which is spread over the tokens that it serves"
                )
            continue
        for model in unpriced:
            message = f"model {model!r} of provider {name!r} has no price"
            place = view.at("providers", name, "models", model, key=True)
            yield Problem(place, message, f"an entry for it in price_book.models.{name}")


def _unknown_prices(view: CatalogView) -> Iterator[Problem]:
    for name, prices in view.catalog.price_book.models.items():
        problems = list(view.reference("providers", "provider", name, ("price_book", "models", name), " in price_book"))
        yield from (
            Problem(
                view.at("price_book", "models", name, key=True), problem.found, problem.accepted, problem.suggestion
            )
            for problem in problems
        )
        provider = view.catalog.providers.get(name)
        for model in prices if provider is not None else ():
            if provider is not None and model not in provider.models:
                at = view.at("price_book", "models", name, model, key=True)
                yield unknown_name("model", model, provider.models, at, f" of provider {name!r} in price_book")


def _budgets(view: CatalogView) -> Iterator[Problem]:
    budgets = view.catalog.cardinality
    for metric, budget in budgets.metrics.items():
        if budget.series > budgets.total.series:
            message = f"the budget of {metric}, {budget.series} series, is above the total of {budgets.total.series}"
            place = view.at("cardinality", "metrics", metric, "series")
            yield Problem(place, message, f"at most {budgets.total.series}")
