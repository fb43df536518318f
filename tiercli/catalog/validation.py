"""What entries of a catalog say of each other: names that must exist, prices, zones, budgets, overrides."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from zoneinfo import available_timezones

from tiercli.catalog.document import Document, KeyPath
from tiercli.catalog.model import Candidate, Catalog, Provider
from tiercli.errors import Location, Problem

LAST_LATENCY_BUCKET_S = 120.0


def unknown_name(kind: str, name: str, known: Iterable[str], location: Location, where: str = "") -> Problem:
    """The problem of a name that nothing has: what is accepted, and the near miss if there is one."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    accepted = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return Problem(
        location, f"unknown {kind} {name!r}{where}", accepted or f"no {kind} is declared", near[0] if near else ""
    )


def check_references(catalog: Catalog, declared: Mapping[str, Any], document: Document) -> list[Problem]:
    """Every problem between entries. `declared` is the raw document: a misshapen entry still declares its name."""
    check = _References(catalog, declared, document)
    return [
        *check.names(),
        *check.owners_and_receivers(),
        *check.providers(),
        *check.aliases(),
        *check.tenants(),
        *check.zones(),
        *check.prices(),
        *check.budgets(),
        *check.overrides(),
    ]


class _References:
    def __init__(self, catalog: Catalog, declared: Mapping[str, Any], document: Document) -> None:
        self.catalog = catalog
        self.document = document
        self.declared = {
            section: list(entries) for section, entries in declared.items() if isinstance(entries, Mapping)
        }

    def at(self, *path: str | int, key: bool = False) -> Location:
        return self.document.locate(path, key=key)

    @property
    def whole(self) -> bool:
        """Whether every declared provider is sound; if not, what its regions are is not known."""
        return set(self.known("providers")) == set(self.catalog.providers)

    def known(self, section: str) -> list[str]:
        return self.declared.get(section, [])

    def reference(self, section: str, kind: str, name: str, path: KeyPath, where: str) -> Iterator[Problem]:
        if name not in self.known(section):
            yield unknown_name(kind, name, self.known(section), self.at(*path), where)

    def names(self) -> Iterator[Problem]:
        if self.catalog.time_zone not in available_timezones():
            yield unknown_name("time zone", self.catalog.time_zone, sorted(available_timezones()), self.at("time_zone"))
        for section in ("providers", "aliases", "tenants", "zones"):
            seen: dict[str, str] = {}
            for name in self.known(section):
                folded = unicodedata.normalize("NFKC", name).casefold()
                if folded in seen:
                    said = f"{name!r} and {seen[folded]!r} differ only in case or in how they are encoded"
                    yield Problem(self.at(section, name, key=True), said, "names that cannot be taken for each other")
                seen.setdefault(folded, name)

    def owners_and_receivers(self) -> Iterator[Problem]:
        for severity in ("page", "notify", "trend", "heartbeat"):
            receiver = getattr(self.catalog.routing, severity)
            yield from self.reference("receivers", "receiver", receiver, ("routing", severity), f" for {severity}")
        for name, owner in self.catalog.owners.items():
            for severity in ("page", "notify", "trend"):
                receiver = getattr(owner, severity)
                if receiver is not None:
                    path = ("owners", name, severity)
                    yield from self.reference("receivers", "receiver", receiver, path, f" of owner {name!r}")
        for section, entries in (("providers", self.catalog.providers), ("aliases", self.catalog.aliases)):
            for name, entry in entries.items():
                where = f" of {section.rstrip('s') if section == 'providers' else 'alias'} {name!r}"
                yield from self.reference("owners", "owner", entry.owner, (section, name, "owner"), where)
        for name, settings in self.catalog.alarms.items():
            if settings.owner is not None:
                path = ("alarms", name, "owner")
                yield from self.reference("owners", "owner", settings.owner, path, f" of alarm {name!r}")

    def providers(self) -> Iterator[Problem]:
        for name, provider in self.catalog.providers.items():
            where = f" in provider {name!r}"
            for model, offer in provider.models.items():
                yield from self._regions(
                    provider, offer.regions or (), ("providers", name, "models", model, "regions"), where
                )
            for region, settings in provider.regions.items():
                typical = settings.typical
                place: KeyPath = ("providers", name, "regions", region, "typical")
                if typical.p95_seconds < typical.p50_seconds:
                    said = f"p95_seconds {typical.p95_seconds:g} is below p50_seconds {typical.p50_seconds:g}"
                    yield Problem(self.at(*place, "p95_seconds"), said, "a p95 of at least the median")
                if typical.p95_seconds > LAST_LATENCY_BUCKET_S:
                    said = f"p95_seconds {typical.p95_seconds:g} is above the last bucket"
                    yield Problem(self.at(*place, "p95_seconds"), said, f"at most {LAST_LATENCY_BUCKET_S:g}")
            if provider.tier == "cloud" and provider.servers:
                said = f"cloud provider {name!r} has servers"
                yield Problem(self.at("providers", name, "servers", key=True), said, "servers only for tier: local")
            if provider.tier == "local" and not provider.servers:
                said = f"local provider {name!r} has no servers"
                yield Problem(self.at("providers", name, key=True), said, "servers, with region and models")
            for server_name, server in provider.servers.items():
                place = ("providers", name, "servers", server_name)
                yield from self._regions(provider, (server.region,), (*place, "region"), where)
                for position, model in enumerate(server.models):
                    if model not in provider.models:
                        at = self.at(*place, "models", position)
                        yield unknown_name("model", model, provider.models, at, f" of server {server_name!r}")

    def _regions(self, provider: Provider, regions: Iterable[str], path: KeyPath, where: str) -> Iterator[Problem]:
        for position, region in enumerate(regions):
            if region not in provider.regions:
                at = self.at(*path, position) if path[-1] == "regions" else self.at(*path)
                yield unknown_name("region", region, provider.regions, at, where)

    def aliases(self) -> Iterator[Problem]:
        for name, alias in self.catalog.aliases.items():
            seen: set[Candidate] = set()
            for position, candidate in enumerate(alias.candidates):
                path = ("aliases", name, "candidates", position)
                if candidate in seen:
                    said = f"the same candidate twice in alias {name!r}"
                    yield Problem(self.at(*path), said, "each candidate once")
                seen.add(candidate)
                yield from self._candidate(candidate, path, f" in alias {name!r}")

    def _candidate(self, candidate: Candidate, path: KeyPath, where: str) -> Iterator[Problem]:
        yield from self.reference("providers", "provider", candidate.provider, (*path, "provider"), where)
        provider = self.catalog.providers.get(candidate.provider)
        if provider is None:
            return
        of = f" of provider {candidate.provider!r}{where}"
        if candidate.region not in provider.regions:
            yield unknown_name("region", candidate.region, provider.regions, self.at(*path, "region"), of)
        if candidate.model not in provider.models:
            yield unknown_name("model", candidate.model, provider.models, self.at(*path, "model"), of)
        elif candidate.region in provider.regions:
            offered = provider.models[candidate.model].regions
            if offered is not None and candidate.region not in offered:
                said = f"model {candidate.model!r} is not offered in {candidate.region!r}{of}"
                yield Problem(self.at(*path, "region"), said, ", ".join(offered))

    def tenants(self) -> Iterator[Problem]:
        for name, tenant in self.catalog.tenants.items():
            where = f" of tenant {name!r}"
            yield from self.reference("zones", "zone", tenant.zone, ("tenants", name, "zone"), where)
            for key in ("features", "aliases"):
                values = getattr(tenant, key) or ()
                for position, value in enumerate(values):
                    if value in values[:position]:
                        said = f"{value!r} twice in {key}{where}"
                        yield Problem(self.at("tenants", name, key, position), said, "each once")
            for position, alias in enumerate(tenant.aliases or ()):
                yield from self.reference("aliases", "alias", alias, ("tenants", name, "aliases", position), where)
            yield from self._zone_of(name)

    def _zone_of(self, name: str) -> Iterator[Problem]:
        tenant = self.catalog.tenants[name]
        zone = self.catalog.zones.get(tenant.zone)
        if zone is None or zone.regions is None:
            return
        for alias_name in self.catalog.tenant_aliases(tenant):
            alias = self.catalog.aliases.get(alias_name)
            for position, candidate in enumerate(alias.candidates if alias else ()):
                if candidate.region not in zone.regions:
                    said = (
                        f"candidate {position} of alias {alias_name!r} is in {candidate.region!r}, outside zone "
                        f"{tenant.zone!r} of tenant {name!r}, which may call that alias"
                    )
                    place = self.at("aliases", alias_name, "candidates", position)
                    yield Problem(
                        place, said, f"candidates in {', '.join(zone.regions)}, or `aliases` of the tenant without it"
                    )

    def zones(self) -> Iterator[Problem]:
        regions = list(dict.fromkeys(region for _, region in self.catalog.provider_regions()))
        for name, zone in self.catalog.zones.items():
            for position, region in enumerate(zone.regions or ()):
                if region not in regions and self.whole:
                    yield unknown_name(
                        "region", region, regions, self.at("zones", name, "regions", position), f" in zone {name!r}"
                    )

    def prices(self) -> Iterator[Problem]:
        book = self.catalog.price_book
        for provider_name, provider in self.catalog.providers.items():
            priced = book.models.get(provider_name, {})
            if provider.tier == "local":
                if book.gpu_usd_per_hour is None:
                    said = f"local provider {provider_name!r} has no price"
                    yield Problem(self.at("price_book"), said, "gpu_usd_per_hour, spread over the tokens it serves")
                continue
            for model in provider.models:
                if model not in priced:
                    said = f"model {model!r} of provider {provider_name!r} has no price"
                    yield Problem(
                        self.at("providers", provider_name, "models", model, key=True),
                        said,
                        "an entry in price_book.models",
                    )
        for provider_name, prices in book.models.items():
            path: KeyPath = ("price_book", "models", provider_name)
            if provider_name not in self.known("providers"):
                yield unknown_name(
                    "provider",
                    provider_name,
                    self.known("providers"),
                    self.document.locate(path, key=True),
                    " in price_book",
                )
                continue
            models = self.catalog.providers[provider_name].models if provider_name in self.catalog.providers else None
            for model in prices:
                if models is not None and model not in models:
                    at = self.document.locate((*path, model), key=True)
                    yield unknown_name("model", model, models, at, f" of provider {provider_name!r} in price_book")

    def budgets(self) -> Iterator[Problem]:
        budgets = self.catalog.cardinality
        for metric, budget in budgets.metrics.items():
            if budget.series > budgets.total.series:
                said = f"budget of {budget.series} series for {metric} is above the total of {budgets.total.series}"
                yield Problem(
                    self.at("cardinality", "metrics", metric, "series"), said, f"at most {budgets.total.series}"
                )
        for path, budget in (("total",), budgets.total), *((("metrics", m), b) for m, b in budgets.metrics.items()):
            yield from self.reference(
                "owners", "owner", budget.owner, ("cardinality", *path, "owner"), " of a series budget"
            )

    def overrides(self) -> Iterator[Problem]:
        for alarm, settings in self.catalog.alarms.items():
            for position, override in enumerate(settings.overrides):
                path: KeyPath = ("alarms", alarm, "overrides", position)
                said = {
                    key: getattr(override, key) for key in ("provider", "region", "model") if getattr(override, key)
                }
                if not said:
                    yield Problem(self.at(*path), "an override for nothing", "provider, region or model, or several")
                matching = [offer for offer in self.catalog.offers() if _covers(said, offer._asdict())]
                if said and not matching and self.whole:
                    text = ", ".join(f"{key} {value!r}" for key, value in said.items())
                    yield Problem(
                        self.at(*path),
                        f"no provider of the catalog is {text}",
                        "provider, region and model as declared",
                    )
                for other in settings.overrides[:position]:
                    theirs = {
                        key: getattr(other, key) for key in ("provider", "region", "model") if getattr(other, key)
                    }
                    shared = set(override.thresholds) & set(other.thresholds)
                    both = [offer for offer in matching if _covers(theirs, offer._asdict())]
                    if len(theirs) == len(said) and both and shared:
                        text = f"{'/'.join(both[0])} has two equally specific overrides of {sorted(shared)[0]}"
                        yield Problem(self.at(*path), text, "overrides of which one names more labels than the other")


def _covers(wanted: Mapping[str, str], offer: Mapping[str, str]) -> bool:
    return all(offer[key] == value for key, value in wanted.items())
