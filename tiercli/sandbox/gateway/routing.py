"""How the simulated gateway chooses: whether a call is allowed, which candidates may serve it, which server is next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tiercli.sandbox.plan import CandidatePlan, Endpoint, EstatePlan


class Denied(Exception):
    """A call that is not routed. `scope`: it named what its tenant may not use."""

    def __init__(self, status: int, code: str, message: str, *, scope: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.scope = scope


@dataclass(frozen=True, slots=True)
class Step:
    """A candidate that may serve a call, and its place in the alias's order."""

    number: int
    candidate: CandidatePlan

    @property
    def name(self) -> str:
        """provider/model/region, as fallbacks are counted."""
        return "/".join(self.offer)

    @property
    def offer(self) -> tuple[str, str, str]:
        """Provider, model and region."""
        return self.candidate.provider, self.candidate.model, self.candidate.region


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate that was left out, and why: for the audit log."""

    step: Step
    reason: str


class Router:
    """Resolves aliases for tenants, within the tenant's zone where the gateway enforces zones."""

    def __init__(self, plan: EstatePlan) -> None:
        self._catalog = plan.catalog
        self._aliases = {alias.name: alias for alias in plan.aliases}
        self._endpoints = {endpoint.key: endpoint for endpoint in plan.endpoints}
        self._turns: dict[tuple[str, ...], int] = {}

    def resolve(self, alias: str, tenant: str, feature: str) -> tuple[tuple[Step, ...], tuple[Considered, ...]]:
        """The candidates that may serve a call, in order, and those that may not. Raises Denied."""
        known = self._catalog.tenants.get(tenant)
        if known is None:
            raise Denied(403, "INVALID_REQUEST", f"unknown tenant {tenant!r} in the header x-tenant")
        if alias not in self._aliases:
            raise Denied(404, "INVALID_REQUEST", f"no alias {alias!r}")
        if alias not in self._catalog.tenant_aliases(known):
            raise Denied(403, "INVALID_REQUEST", f"{tenant!r} may not call {alias!r}", scope=True)
        if feature not in known.features:
            raise Denied(403, "INVALID_REQUEST", f"{tenant!r} has no feature {feature!r} (x-feature)", scope=True)
        permitted, outside = [], []
        for number, candidate in enumerate(self._aliases[alias].candidates):
            step = Step(number, candidate)
            if self._catalog.gateway.zones == "observed" or self.in_zone(tenant, candidate.region):
                permitted.append(step)
            else:
                outside.append(Considered(step, "outside the tenant's zone"))
        return tuple(permitted), tuple(outside)

    def in_zone(self, tenant: str, region: str) -> bool:
        """Whether `tenant`'s calls may be served in `region`."""
        regions = self._catalog.regions_of(self._catalog.tenants[tenant])
        return regions is None or region in regions

    def endpoints(self, candidate: CandidatePlan) -> Iterator[Endpoint]:
        """Every endpoint of a candidate, in turn."""
        keys = candidate.endpoints
        turn = self._turns.get(keys, 0)
        self._turns[keys] = (turn + 1) % len(keys)
        for position in range(len(keys)):
            yield self._endpoints[keys[(turn + position) % len(keys)]]
