"""Drafting a catalog from what a running Prometheus already sees."""

from __future__ import annotations

from tiercli.catalog.draft import Discovered, draft_catalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.errors import BackendError, InvalidInput, Location
from tiercli.signals.bindings import load_binding


async def draft_from_prometheus(url: str, source: str) -> str:
    """The text of a catalog with the providers, models, regions, aliases and tenants that `url` has series for.

    `source` is the binding whose `discovery` says which labels to read. Raises InvalidInput for an unknown binding,
    BackendError when Prometheus does not answer or has no such series.
    """
    where = load_binding(source, Location("--source")).discovery
    if "offers" not in where:
        raise InvalidInput(f"the binding {source!r} does not say where to find providers, models and regions")
    seen = Discovered()
    async with PrometheusClient(url, timeout_s=15) as client:
        await _find_offers(client, where["offers"], seen)
        if not seen.offers:
            metric = where["offers"]["metric"]
            raise BackendError(
                f"prometheus at {client.url} has no series of {metric}",
                hint=f"is the gateway scraped, and does it expose what the source {source!r} expects?",
            )
        if "aliases" in where:
            await _find_aliases(client, where["aliases"], seen)
        if "tenants" in where:
            await _find_tenants(client, where["tenants"], seen)
    for alias in {alias for _, aliases in seen.tenants.values() for alias in aliases} - set(seen.aliases):
        seen.aliases[alias] = {(0, *seen.offers[0]): None}
    if not seen.aliases:
        seen.aliases["assistant"] = {(0, *seen.offers[0]): None}
    if not seen.tenants:
        seen.tenants["everyone"] = ({"all"}, set(seen.aliases))
    return draft_catalog(seen, source, f"Drafted from {client.url} through the source binding {source}.")


async def _find_offers(client: PrometheusClient, labels: dict[str, str], seen: Discovered) -> None:
    targets: dict[str, None] = {}
    for series in await client.series(labels["metric"]):
        offer = tuple(series.get(labels[key], "") for key in ("provider", "model", "region"))
        if all(offer) and offer not in seen.offers:
            seen.offers.append((offer[0], offer[1], offer[2]))
        if series.get("instance"):
            targets[series["instance"]] = None
    seen.offers.sort()
    seen.targets = sorted(targets) or ["gateway.internal:9100"]


async def _find_aliases(client: PrometheusClient, labels: dict[str, str], seen: Discovered) -> None:
    for series in await client.series(labels["metric"]):
        alias, step = series.get(labels["alias"], ""), series.get(labels.get("step", ""), "0")
        offer = tuple(series.get(labels[key], "") for key in ("provider", "model", "region"))
        if alias and offer in seen.offers:
            place = int(step) if step.isdigit() else 0
            seen.aliases.setdefault(alias, {})[place, offer[0], offer[1], offer[2]] = None
    seen.aliases = dict(sorted(seen.aliases.items()))


async def _find_tenants(client: PrometheusClient, labels: dict[str, str], seen: Discovered) -> None:
    for series in await client.series(labels["metric"]):
        tenant, feature, alias = (series.get(labels[key], "") for key in ("tenant", "feature", "alias"))
        if tenant and feature and alias:
            features, aliases = seen.tenants.setdefault(tenant, (set(), set()))
            features.add(feature)
            aliases.add(alias)
    seen.tenants = dict(sorted(seen.tenants.items()))
