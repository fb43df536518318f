"""Entries of the catalog that each are right and together are not: prices, zones, budgets, latencies, overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tiercli.catalog.model import AlarmSettings, Override
from tiercli.catalog.names import unknown_name
from tiercli.catalog.view import CatalogView
from tiercli.errors import Problem

# The last finite bucket of the contract's duration histograms (a test holds it to signals/contract.py).
LAST_LATENCY_BUCKET_S = 120.0


def check_consistency(view: CatalogView) -> Iterator[Problem]:
    """Problems between entries that refer to each other rightly."""
    yield from _tiers(view)
    yield from _typical(view)
    yield from _zones(view)
    if "price_book" not in view.missing:
        yield from _unpriced(view)
        yield from _unknown_prices(view)
    if "cardinality" not in view.missing:
        yield from _budgets(view)
    for alarm, settings in view.catalog.alarms.items():
        yield from _overrides(view, alarm, settings)


def _tiers(view: CatalogView) -> Iterator[Problem]:
    for name, provider in view.catalog.providers.items():
        if provider.tier == "cloud" and provider.servers:
            said = f"cloud provider {name!r} has servers"
            yield Problem(view.at("providers", name, "servers", key=True), said, "servers only for tier: local")
        if provider.tier == "local" and not provider.servers:
            said = f"local provider {name!r} has no servers"
            yield Problem(view.at("providers", name, key=True), said, "servers, with region and models")


def _typical(view: CatalogView) -> Iterator[Problem]:
    for name, provider in view.catalog.providers.items():
        for region, settings in provider.regions.items():
            typical = settings.typical
            place = view.at("providers", name, "regions", region, "typical", "p95_seconds")
            if typical.p95_seconds < typical.p50_seconds:
                said = f"p95_seconds {typical.p95_seconds:g} is below p50_seconds {typical.p50_seconds:g}"
                yield Problem(place, said, "a p95 of at least the median")
            if typical.p95_seconds > LAST_LATENCY_BUCKET_S:
                said = f"p95_seconds {typical.p95_seconds:g} is above the last finite bucket: it could not be measured"
                yield Problem(place, said, f"at most {LAST_LATENCY_BUCKET_S:g}")


def _zones(view: CatalogView) -> Iterator[Problem]:
    """Candidates that a tenant may be served from by its aliases, and may not be by its zone."""
    catalog = view.catalog
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
                and (candidate.provider, candidate.model, candidate.region) in offers  # else it is wrong already
            ]
            if positions:
                outside[zone_name, alias_name] = positions
    for name, tenant in catalog.tenants.items():
        zone_of_tenant = catalog.zones.get(tenant.zone)
        for alias_name in catalog.tenant_aliases(tenant) if zone_of_tenant else ():
            for position in outside.get((tenant.zone, alias_name), ()):
                candidate = catalog.aliases[alias_name].candidates[position]
                said = (
                    f"candidate {position} of alias {alias_name!r} ({candidate.provider} {candidate.model}) is in "
                    f"{candidate.region!r}, outside zone {tenant.zone!r} of tenant {name!r}, which may call that alias"
                )
                regions = ", ".join((zone_of_tenant.regions or ()) if zone_of_tenant else ())
                accepted = f"candidates in {regions}, or `aliases` of the tenant without it"
                yield Problem(view.at("aliases", alias_name, "candidates", position), said, accepted)


def _unpriced(view: CatalogView) -> Iterator[Problem]:
    book = view.catalog.price_book
    for name, provider in view.catalog.providers.items():
        declared = view.priced_models(name)
        unpriced = [model for model in provider.models if model not in declared]
        if provider.tier == "local":
            if unpriced and book.gpu_usd_per_hour is None:
                said = f"local provider {name!r} has no price"
                yield Problem(view.at("price_book"), said, "gpu_usd_per_hour, spread over the tokens it serves")
            continue
        for model in unpriced:
            said = f"model {model!r} of provider {name!r} has no price"
            place = view.at("providers", name, "models", model, key=True)
            yield Problem(place, said, f"an entry of it in price_book.models.{name}")


def _unknown_prices(view: CatalogView) -> Iterator[Problem]:
    for name, prices in view.catalog.price_book.models.items():
        known = list(view.reference("providers", "provider", name, ("price_book", "models", name), " in price_book"))
        yield from (
            Problem(view.at("price_book", "models", name, key=True), one.found, one.accepted, one.suggestion)
            for one in known
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
            said = f"the budget of {metric}, {budget.series} series, is above the total of {budgets.total.series}"
            place = view.at("cardinality", "metrics", metric, "series")
            yield Problem(place, said, f"at most {budgets.total.series}")


def _overrides(view: CatalogView, alarm: str, settings: AlarmSettings) -> Iterator[Problem]:
    for position, override in enumerate(settings.overrides):
        path = ("alarms", alarm, "overrides", position)
        wanted = _labels(override)
        if not wanted:
            said = f"an override of {alarm} that says not for what"
            yield Problem(view.at(*path), said, "provider, region or model, or several")
            continue
        unknown = list(_unknown_labels(view, wanted, path, f" in an override of {alarm}"))
        yield from unknown
        matching = [offer for offer in view.catalog.offers() if _covers(wanted, offer._asdict())]
        if not matching and not unknown and view.all_providers_sound and view.catalog.providers:
            text = " and ".join(f"{key} {value!r}" for key, value in wanted.items())
            said = f"an override of {alarm} for nothing: no model is offered with {text}"
            yield Problem(view.at(*path), said, "what the catalog's providers offer")
        for earlier in settings.overrides[:position]:
            theirs = _labels(earlier)
            shared = sorted(set(override.thresholds) & set(earlier.thresholds))
            both = [offer for offer in matching if _covers(theirs, offer._asdict())]
            if theirs and len(theirs) == len(wanted) and both and shared:
                said = f"{' '.join(both[0])} has two equally specific overrides of {shared[0]} of {alarm}"
                yield Problem(view.at(*path), said, "one of them with more of provider, region and model")


def _unknown_labels(
    view: CatalogView, wanted: Mapping[str, str], path: tuple[str | int, ...], where: str
) -> Iterator[Problem]:
    if "provider" in wanted:
        name = wanted["provider"]
        yield from view.reference("providers", "provider", name, (*path, "provider"), where)
        if name not in view.catalog.providers:
            return
    elif not view.all_providers_sound or not view.catalog.providers:
        return
    providers = [provider for name, provider in view.catalog.providers.items() if wanted.get("provider", name) == name]
    of = f" of provider {wanted['provider']!r}{where}" if "provider" in wanted else where
    for key, kind in (("regions", "region"), ("models", "model")):
        known = dict.fromkeys(name for provider in providers for name in getattr(provider, key))
        if kind in wanted and wanted[kind] not in known:
            yield unknown_name(kind, wanted[kind], known, view.at(*path, kind), of)


def _labels(override: Override) -> dict[str, str]:
    named = {"provider": override.provider, "region": override.region, "model": override.model}
    return {key: value for key, value in named.items() if value is not None}


def _covers(wanted: Mapping[str, str], offer: Mapping[str, str]) -> bool:
    return all(offer[key] == value for key, value in wanted.items())
