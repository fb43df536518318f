"""What a fault's target can name in a catalog: the providers, servers, scrapes and callers that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.errors import Location, Problem
from tiercli.faults.kinds.interface import CALL_LABELS, ROUTE_LABELS, SCRAPE_LABELS, FaultKind


class Targets:
    """The targets of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._rows = tuple(_rows(catalog))
        values: dict[str, dict[str, None]] = {label: {} for label in (*ROUTE_LABELS, *SCRAPE_LABELS, *CALL_LABELS)}
        for row in self._rows:
            for label, value in row.items():
                values[label][value] = None
        self._values = {label: list(known) for label, known in values.items()}

    def problems(
        self, kind: FaultKind[Any], target: Mapping[str, str], at: Callable[..., Location]
    ) -> Iterator[Problem]:
        """What is wrong with `target`, whose labels are those of `kind`; `at` is its place, and with a label that label's."""
        if kind.injector == "proxy" and not target:
            message = f"the fault {kind.name} has no target, and would be on everywhere"
            yield Problem(at(), message, f"at least one of {', '.join(kind.target_labels)}")
            return
        unknown = {label: value for label, value in target.items() if value not in self._values[label]}
        for label, value in unknown.items():
            yield unknown_name(label, value, self._values[label], at(label), f" in fault {kind.name}")
        if target and not unknown and not any(_matches(target, row) for row in self._rows):
            message = ", ".join(f"{label}={value}" for label, value in target.items())
            yield Problem(at(), f"nothing in the catalog is {message}")


def _rows(catalog: Catalog) -> Iterator[dict[str, str]]:
    for name, provider in catalog.providers.items():
        for region in provider.regions:
            yield {"provider": name, "region": region, "tier": provider.tier}
        for server_name, server in provider.servers.items():
            yield {"provider": name, "region": server.region, "tier": provider.tier, "server": server_name}
            yield from ({"scrape": scrape, "server": server_name} for scrape in ("servers", "gpus"))
    yield {"scrape": "gateway"}
    for name, tenant in catalog.tenants.items():
        for alias in catalog.tenant_aliases(tenant):
            yield from ({"tenant": name, "alias": alias, "feature": feature} for feature in tenant.features)


def _matches(wanted: Mapping[str, str], row: Mapping[str, str]) -> bool:
    return all(row.get(label) == value for label, value in wanted.items())
