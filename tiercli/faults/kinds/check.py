"""Whether a fault in a drill or in a request to the proxy is valid: its name, its settings, and its target."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.interface import CALL_LABELS, ROUTE_LABELS, SCRAPE_LABELS, FaultKind, FaultSettings


def check_fault(
    fault: str,
    target: Mapping[str, str],
    settings: Mapping[str, Any],
    location: Location = Location("fault"),  # noqa: B008 - frozen
) -> tuple[FaultKind[Any], FaultSettings]:
    """The registered fault of that name and its settings, checked. Whether the target exists, its injector checks.

    Raises InvalidInput with every problem, at `location`."""
    kind = FAULTS_BY_NAME.get(fault)
    if kind is None:
        near = difflib.get_close_matches(fault, FAULTS_BY_NAME, 1)
        problem = Problem(location, f"unknown fault {fault!r}", ", ".join(FAULTS_BY_NAME), near[0] if near else "")
        raise InvalidInput(f"unknown fault {fault!r}", [problem])
    problems = [
        Problem(location, f"{fault}: target has no label {label!r}", ", ".join(kind.target_labels) or "no target")
        for label in target
        if label not in kind.target_labels
    ]
    problems += [Problem(location, f"{fault}: {mistake}") for mistake in kind.check_settings(settings)]
    if problems:
        raise InvalidInput(f"the fault {fault!r} has mistakes", problems)
    return kind, kind.settings.model_validate(dict(settings))


class Targets:
    """What a fault's target can name in a catalog: its providers, servers, scrapes and callers."""

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
        """The mistakes in `target`, whose labels are those of `kind`. `at()` is its place, `at(label)` that of a label."""
        if kind.injector == "proxy" and not target:
            found = f"the fault {kind.name} has no target, and would be on everywhere"
            yield Problem(at(), found, f"at least one of {', '.join(kind.target_labels)}")
            return
        unknown = {label: value for label, value in target.items() if value not in self._values[label]}
        for label, value in unknown.items():
            yield unknown_name(label, value, self._values[label], at(label), f" in fault {kind.name}")
        if target and not unknown and not any(target.items() <= row.items() for row in self._rows):
            labels = ", ".join(f"{label}={value}" for label, value in target.items())
            yield Problem(at(), f"nothing in the catalog is {labels}")


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
