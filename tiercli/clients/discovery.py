"""What a running Prometheus already sees of an estate, by the `discovery` section of a source binding."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from tiercli.catalog.draft import SeenEstate, SeenStep, SeenTenant
from tiercli.catalog.model import Offer
from tiercli.clients.prometheus import PrometheusClient
from tiercli.errors import BackendError, InvalidInput, Location
from tiercli.signals.bindings import load_binding
from tiercli.signals.promql import grouped_by

LOOK_BACK = "1d"


async def fetch_estate(url: str, source: str) -> SeenEstate:
    """Names of providers, models, regions, aliases, tenants and features in the last day of the Prometheus at `url`.

    Raises InvalidInput for a source that is unknown or cannot be discovered from, BackendUnreachable or QueryRejected
    when Prometheus does not answer as it should, BackendError when it has nothing of that source.
    """
    binding = load_binding(source, Location("--source"))
    discovery = binding.discovery
    if discovery is None:
        raise InvalidInput(f"the source {source!r} has no discovery section", hint="use another --source")
    async with PrometheusClient(url) as client:
        rows = await _rows(client, discovery.offers.metric, discovery.offers.labels())
        offers = {offer for offer in map(_offer, rows) if offer.provider and offer.model}
        deployments = {_deployment(row): _offer(row) for row in rows if _offer(row) in offers}
        if not offers:
            raise BackendError(
                f"prometheus at {client.url} has no series of {discovery.offers.metric} with the labels of {source}",
                hint="is the gateway scraped by this Prometheus, and is --source right?",
            )
        instances = await _rows(client, discovery.offers.metric, {"instance": "instance"})
        steps: dict[str, list[SeenStep]] = {}
        if discovery.aliases is not None:
            for row in await _rows(client, discovery.aliases.metric, discovery.aliases.labels()):
                number = 0
                with suppress(ValueError):
                    number = int(row.get("step", "0"))
                if row["alias"] and _offer(row).provider and _offer(row).model:
                    steps.setdefault(row["alias"], []).append(SeenStep(number, _offer(row)))
        used: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
        if discovery.tenants is not None:
            for row in await _rows(client, discovery.tenants.metric, discovery.tenants.labels()):
                if row["tenant"]:
                    features, aliases = used.setdefault(row["tenant"], ({}, {}))
                    features.update({row["feature"]: None} if row.get("feature") else {})
                    aliases.update({row["alias"]: None} if row.get("alias") else {})
    return SeenEstate(
        source=source,
        offers=tuple(sorted(offers)),
        aliases=steps,
        tenants={name: SeenTenant(tuple(features), tuple(aliases)) for name, (features, aliases) in used.items()},
        deployments=dict(sorted(deployments.items())) if binding.deployments is not None else {},
        targets=tuple(row["instance"] for row in instances if row["instance"]),
    )


async def _rows(client: PrometheusClient, metric: str, labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Each combination of some labels of a metric, under the canonical names; "" for a label that is not there."""
    samples = await client.query(grouped_by(metric, tuple(labels.values()), LOOK_BACK))
    return [{ours: sample.labels.get(theirs, "") for ours, theirs in labels.items()} for sample in samples]


def _deployment(row: Mapping[str, str]) -> str:
    """The stable id of what a row is of: its own, or provider and model as the gateway names them."""
    return row.get("deployment") or f"{row['provider']}/{row['model']}"


def _offer(row: Mapping[str, str]) -> Offer:
    return Offer(row["provider"], row["model"], row.get("region", ""))
