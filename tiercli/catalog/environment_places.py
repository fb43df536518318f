"""Every provider, region, server and tenant that an environment names must be declared, and each endpoint named once."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.catalog.environment import ProviderEndpoint, ToxiproxyTarget
from tiercli.catalog.names import unknown_name
from tiercli.catalog.view import CatalogView
from tiercli.errors import Problem


def check_environments(view: CatalogView) -> Iterator[Problem]:
    """What is wrong with the places of endpoints and those that Toxiproxy stands before, and with the tenants that have keys."""
    for name, environment in view.catalog.environments.items():
        start, where = ("environments", name), f" in environment {name!r}"
        known: set[tuple[str, str, str | None]] = set()
        for at, endpoint in enumerate(environment.endpoints):
            yield from _place(view, endpoint, (*start, "endpoints", at), where)
            if (endpoint.provider, endpoint.region, endpoint.server) in known:
                accepted = "each provider, region and server once"
                yield Problem(view.at(*start, "endpoints", at), f"the same endpoint twice{where}", accepted)
            known.add((endpoint.provider, endpoint.region, endpoint.server))
        for tenant in environment.tenants:
            yield from view.reference("tenants", "tenant", tenant, (*start, "tenants", tenant), where)
        toxiproxy = environment.injectors.toxiproxy
        for key, target in toxiproxy.proxies.items() if toxiproxy else ():
            yield from _place(view, target, (*start, "injectors", "toxiproxy", "proxies", key), where)


def _place(
    view: CatalogView, place: ProviderEndpoint | ToxiproxyTarget, path: tuple[str | int, ...], where: str
) -> Iterator[Problem]:
    yield from view.reference("providers", "provider", place.provider, (*path, "provider"), where)
    provider = view.catalog.providers.get(place.provider)
    if provider is None:
        return
    of = f" of provider {place.provider!r}{where}"
    if place.region not in provider.regions:
        yield unknown_name("region", place.region, provider.regions, view.at(*path, "region"), of)
    if place.server is None:
        return
    server = provider.servers.get(place.server)
    if server is None:
        yield unknown_name("server", place.server, provider.servers, view.at(*path, "server"), of)
    elif place.region in provider.regions and server.region != place.region:
        said = f"server {place.server!r}{of} is in region {server.region!r}, not in {place.region!r}"
        yield Problem(view.at(*path, "region"), said, server.region)
