"""How the simulated gateway chooses: candidates in order within the tenant's zone, local servers in turn, quotas."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from tiercli.sandbox.plan import Endpoint, EstatePlan

# Attempts a second that a provider's quota allows here: far above a drill's load, so that headroom is a real figure.
QUOTA_PER_SECOND = 500.0


@dataclass(frozen=True, slots=True)
class Route:
    """One candidate of an alias: its place in the alias's order, and the endpoint that will be tried."""

    step: int
    provider: str
    model: str
    region: str
    endpoint: Endpoint

    @property
    def name(self) -> str:
        """provider/region, as fallbacks are counted."""
        return f"{self.provider}/{self.region}"


class Quota:
    """A token bucket: `per_second` tokens flow in, one second's worth fit in."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._tokens = per_second
        self._at = time.monotonic()

    def take(self) -> bool:
        """Take a token; False when there is none."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def headroom(self) -> float:
        """What is left, 0 to 1."""
        self._refill()
        return self._tokens / self.per_second

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self.per_second, self._tokens + (now - self._at) * self.per_second)
        self._at = now


class Router:
    """Resolves aliases for tenants."""

    def __init__(self, plan: EstatePlan) -> None:
        self._aliases = {alias.name: alias.candidates for alias in plan.aliases}
        self._tenants = {tenant.name: tenant for tenant in plan.tenants}
        self._endpoints = {endpoint.key: endpoint for endpoint in plan.endpoints}
        self._turn = 0
        self.quotas: dict[tuple[str, str, str], Quota] = {}

    def routes(self, alias: str, tenant: str) -> Iterator[Route]:
        """The candidates of `alias` that `tenant`'s zone permits, in order; never one outside it."""
        permitted = self._tenants[tenant].zone_regions
        for step, candidate in enumerate(self._aliases[alias]):
            if permitted is not None and candidate.region not in permitted:
                continue
            self._turn += 1
            endpoint = self._endpoints[candidate.endpoints[self._turn % len(candidate.endpoints)]]
            yield Route(step, candidate.provider, candidate.model, candidate.region, endpoint)

    def quota(self, route: Route) -> Quota:
        """The quota of a route's provider, model and region."""
        key = (route.provider, route.model, route.region)
        return self.quotas.setdefault(key, Quota(QUOTA_PER_SECOND))
