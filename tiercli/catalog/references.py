"""References between entries of the catalog: every name in use must be declared, and no two names may look alike."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from zoneinfo import available_timezones

from tiercli.catalog.environment import ProviderEndpoint, ToxiproxyTarget
from tiercli.catalog.model import Candidate, Provider, Tenant
from tiercli.catalog.names import look_alikes, repeated, unknown_name
from tiercli.catalog.view import CatalogView
from tiercli.errors import Problem

_NAMED_SECTIONS = ("owners", "receivers", "providers", "aliases", "tenants", "zones")


def check_names(view: CatalogView) -> Iterator[Problem]:
    """Unknown names, repeated names, and names that look alike."""
    yield from _time_zone(view)
    yield from _look_alikes(view)
    yield from _owners_and_receivers(view)
    for name, provider in view.catalog.providers.items():
        yield from _provider(view, name, provider)
    yield from _aliases(view)
    yield from _tenants(view)
    yield from _zones(view)
    yield from _targets(view)
    yield from _sources(view)
    yield from _environments(view)


def _time_zone(view: CatalogView) -> Iterator[Problem]:
    name = view.catalog.time_zone
    if name not in _zones_known():
        problem = unknown_name("time zone", name, sorted(_zones_known()), view.at("time_zone"))
        accepted = "an IANA time zone, such as UTC or Asia/Kolkata"
        yield Problem(problem.location, problem.found, accepted, problem.suggestion)


@cache
def _zones_known() -> frozenset[str]:
    return frozenset({*available_timezones(), "UTC"})


def _look_alikes(view: CatalogView) -> Iterator[Problem]:
    places = [((section,), view.declared(section)) for section in _NAMED_SECTIONS]
    for name, provider in view.catalog.providers.items():
        for part in ("regions", "models", "servers"):
            places.append((("providers", name, part), dict.fromkeys(getattr(provider, part))))  # type: ignore[arg-type]
    for path, names in places:
        for name, first in look_alikes(names):
            message = f"{name!r} and {first!r} differ only in case or encoding"
            yield Problem(view.at(*path, name, key=True), message, "names that cannot be confused")
    regions: dict[str, tuple[str, ...]] = {}
    for provider_name, region in view.catalog.provider_regions():
        regions.setdefault(region, ("providers", provider_name, "regions", region))
    for region, first in look_alikes(regions):
        if regions[region][1] != regions[first][1]:
            message = f"region {region!r} differs from {first!r} of another provider only in case or encoding"
            yield Problem(view.at(*regions[region], key=True), message, "one spelling for one region")


def _owners_and_receivers(view: CatalogView) -> Iterator[Problem]:
    catalog = view.catalog
    if "routing" not in view.missing:
        for severity in ("page", "notify", "trend", "heartbeat"):
            receiver = getattr(catalog.routing, severity)
            yield from view.reference("receivers", "receiver", receiver, ("routing", severity), f" for {severity}")
    for name, owner in catalog.owners.items():
        for severity in ("page", "notify", "trend"):
            receiver = getattr(owner, severity)
            if receiver is not None:
                path = ("owners", name, severity)
                yield from view.reference("receivers", "receiver", receiver, path, f" of owner {name!r}")
    owned = [("providers", "provider", name, entry.owner) for name, entry in catalog.providers.items()]
    owned += [("aliases", "alias", name, entry.owner) for name, entry in catalog.aliases.items()]
    owned += [("alarms", "alarm", name, entry.owner) for name, entry in catalog.alarms.items() if entry.owner]
    for section, kind, name, owner_name in owned:
        path = (section, name, "owner")
        yield from view.reference("owners", "owner", owner_name, path, f" of {kind} {name!r}")
    if "cardinality" in view.missing:
        return
    budgets = [(("cardinality", "total", "owner"), catalog.cardinality.total)]
    budgets += [
        (("cardinality", "metrics", metric, "owner"), budget)  # type: ignore[misc]
        for metric, budget in catalog.cardinality.metrics.items()
    ]
    for place, budget in budgets:
        yield from view.reference("owners", "owner", budget.owner, place, " of a series budget")


def _provider(view: CatalogView, name: str, provider: Provider) -> Iterator[Problem]:
    where = f" in provider {name!r}"
    for model, offer in provider.models.items():
        path = ("providers", name, "models", model, "regions")
        yield from view.each("region", offer.regions or (), provider.regions, path, where)
        yield from _twice(view, offer.regions or (), path, f"regions of model {model!r}")
        if offer.regions == ():
            message = f"model {model!r} of provider {name!r} is offered nowhere"
            yield Problem(view.at(*path), message, "at least one region, or no `regions` for all of them")
    for server_name, server in provider.servers.items():
        place = ("providers", name, "servers", server_name)
        if server.region not in provider.regions:
            yield unknown_name("region", server.region, provider.regions, view.at(*place, "region"), where)
        of = f" of server {server_name!r}"
        yield from view.each("model", server.models, provider.models, (*place, "models"), of)
        yield from _twice(view, server.models, (*place, "models"), f"models{of}")


def _aliases(view: CatalogView) -> Iterator[Problem]:
    for name, alias in view.catalog.aliases.items():
        seen: set[Candidate] = set()
        for position, candidate in enumerate(alias.candidates):
            path = ("aliases", name, "candidates", position)
            if candidate in seen:
                yield Problem(view.at(*path), f"a repeated candidate in alias {name!r}", "each candidate once")
            seen.add(candidate)
            yield from _candidate(view, candidate, path, f" in alias {name!r}")


def _candidate(view: CatalogView, candidate: Candidate, path: tuple[str | int, ...], where: str) -> Iterator[Problem]:
    yield from _provider_and_region(view, candidate, path, where)
    provider = view.catalog.providers.get(candidate.provider)
    if provider is None:
        return
    of = f" of provider {candidate.provider!r}{where}"
    if candidate.model not in provider.models:
        yield unknown_name("model", candidate.model, provider.models, view.at(*path, "model"), of)
    elif candidate.region in provider.regions:
        offered = provider.models[candidate.model].regions
        if offered is not None and candidate.region not in offered:
            message = f"model {candidate.model!r} is not offered in {candidate.region!r}{of}"
            yield Problem(view.at(*path, "region"), message, ", ".join(offered))


def _provider_and_region(
    view: CatalogView, entry: Candidate | ProviderEndpoint | ToxiproxyTarget, path: tuple[str | int, ...], where: str
) -> Iterator[Problem]:
    yield from view.reference("providers", "provider", entry.provider, (*path, "provider"), where)
    provider = view.catalog.providers.get(entry.provider)
    if provider is not None and entry.region not in provider.regions:
        of = f" of provider {entry.provider!r}{where}"
        yield unknown_name("region", entry.region, provider.regions, view.at(*path, "region"), of)


def _tenants(view: CatalogView) -> Iterator[Problem]:
    # There may be ten thousand tenants and hardly any is wrong: the cheap test first.
    everything = {feature for tenant in view.catalog.tenants.values() for feature in tenant.features}
    alike = any(True for _ in look_alikes(everything))
    known = {"zones": view.declared("zones"), "aliases": view.declared("aliases")}
    for name, tenant in view.catalog.tenants.items():
        aliases, features = tenant.aliases or (), tenant.features
        if (
            not alike
            and tenant.zone in known["zones"]
            and all(alias in known["aliases"] for alias in aliases)
            and len(set(aliases)) == len(aliases)
            and len(set(features)) == len(features)
        ):
            continue
        yield from _tenant(view, name, tenant)


def _tenant(view: CatalogView, name: str, tenant: Tenant) -> Iterator[Problem]:
    where = f" of tenant {name!r}"
    yield from view.reference("zones", "zone", tenant.zone, ("tenants", name, "zone"), where)
    path = ("tenants", name, "aliases")
    for position, alias in enumerate(tenant.aliases or ()):
        yield from view.reference("aliases", "alias", alias, (*path, position), where)
    yield from _twice(view, tenant.aliases or (), path, f"aliases{where}")
    features = ("tenants", name, "features")
    yield from _twice(view, tenant.features, features, f"features{where}")
    for feature, first in look_alikes(tenant.features):
        message = f"features {feature!r} and {first!r}{where} differ only in case or encoding"
        place = view.at(*features, tenant.features.index(feature))
        yield Problem(place, message, "names that cannot be confused")


def _zones(view: CatalogView) -> Iterator[Problem]:
    regions = dict.fromkeys(region for _, region in view.catalog.provider_regions())
    for name, zone in view.catalog.zones.items():
        path = ("zones", name, "regions")
        if view.all_providers_valid and "providers" not in view.missing:
            yield from view.each("region", zone.regions or (), regions, path, f" in zone {name!r}")
        yield from _twice(view, zone.regions or (), path, f"regions of zone {name!r}")
        if zone.regions == ():
            accepted = "at least one region, or no `regions` for anywhere"
            yield Problem(view.at(*path), f"zone {name!r} allows no region", accepted)


def _targets(view: CatalogView) -> Iterator[Problem]:
    if "gateway" not in view.missing:
        yield from _twice(view, view.catalog.gateway.targets, ("gateway", "targets"), "targets of the gateway")
    targets = view.catalog.alertmanager.targets
    yield from _twice(view, targets, ("alertmanager", "targets"), "targets of Alertmanager")
    seen: dict[str, str] = {}
    for provider_name, provider in view.catalog.providers.items():
        for name, server in provider.servers.items():
            if server.metrics is None:
                continue
            if server.metrics in seen:
                message = f"{server.metrics} is also the address of server {seen[server.metrics]!r}"
                at = view.at("providers", provider_name, "servers", name, "metrics")
                yield Problem(at, message, "a different address for each server")
            seen.setdefault(server.metrics, name)


def _sources(view: CatalogView) -> Iterator[Problem]:
    if "gateway" not in view.missing:
        for name, deployment in view.catalog.gateway.deployments.items():
            path = ("gateway", "deployments", name)
            yield from _candidate(view, deployment, path, f" in deployment {name!r}")
    measured: dict[str, str] = {}
    for name, source in view.catalog.sources.items():
        yield from _twice(view, source.targets, ("sources", name, "targets"), f"targets of source {name!r}")
        if source.provider is None:
            continue
        at = ("sources", name, "provider")
        yield from view.reference("providers", "provider", source.provider, at, f" of source {name!r}")
        if source.provider in measured:
            message = f"provider {source.provider!r} is also measured by source {measured[source.provider]!r}"
            yield Problem(view.at(*at), message, "one source for a provider")
        measured.setdefault(source.provider, name)
    for name, provider in view.catalog.providers.items():
        if provider.binding is not None and provider.tier == "cloud":
            message = f"cloud provider {name!r} has a binding, but no servers of your own"
            yield Problem(view.at("providers", name, "binding"), message, "a console under `sources`, with `provider`")


def _twice(view: CatalogView, values: tuple[str, ...], path: tuple[str | int, ...], where: str) -> Iterator[Problem]:
    for position, value in repeated(values):
        yield Problem(view.at(*path, position), f"{value!r} is repeated in {where}", "each once")


def _environments(view: CatalogView) -> Iterator[Problem]:
    """Endpoints, Toxiproxy's targets and tenants with keys."""
    for name, environment in view.catalog.environments.items():
        start, where = ("environments", name), f" in environment {name!r}"
        known: set[tuple[str, str, str | None]] = set()
        for at, endpoint in enumerate(environment.endpoints):
            yield from _endpoint_place(view, endpoint, (*start, "endpoints", at), where)
            if (endpoint.provider, endpoint.region, endpoint.server) in known:
                accepted = "each provider, region and server once"
                yield Problem(view.at(*start, "endpoints", at), f"a repeated endpoint{where}", accepted)
            known.add((endpoint.provider, endpoint.region, endpoint.server))
        for tenant in environment.tenants:
            yield from view.reference("tenants", "tenant", tenant, (*start, "tenants", tenant), where)
        toxiproxy = environment.injectors.toxiproxy
        for key, target in toxiproxy.proxies.items() if toxiproxy else ():
            yield from _endpoint_place(view, target, (*start, "injectors", "toxiproxy", "proxies", key), where)


def _endpoint_place(
    view: CatalogView, place: ProviderEndpoint | ToxiproxyTarget, path: tuple[str | int, ...], where: str
) -> Iterator[Problem]:
    yield from _provider_and_region(view, place, path, where)
    provider = view.catalog.providers.get(place.provider)
    if provider is None or place.server is None:
        return
    of = f" of provider {place.provider!r}{where}"
    server = provider.servers.get(place.server)
    if server is None:
        yield unknown_name("server", place.server, provider.servers, view.at(*path, "server"), of)
    elif place.region in provider.regions and server.region != place.region:
        message = f"server {place.server!r}{of} is in region {server.region!r}, not in {place.region!r}"
        yield Problem(view.at(*path, "region"), message, server.region)
