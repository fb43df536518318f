"""What a catalog gives a blind drill to work with: the load it is put under, who answers whom, how large servers must be."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tiercli.catalog.model import Candidate, Catalog
from tiercli.drills.blind.seen import Panel
from tiercli.drills.spec.mix import build_mix
from tiercli.drills.spec.model import Load, SandboxSettings

LOAD = Load(arrivals_per_second=40)
BUSY_PER_S = 3.0  # calls; with fewer a rate window holds too few to show anything
_LOCAL_SHARE = 0.35  # of the local servers' places that ordinary load takes
_LEAST_PLACES = 4
_LEAST_QUOTA = 500
_USUAL_OUTPUT = 200  # tokens of an answer
INSTANCES = 2

Place = tuple[str, str]  # provider, region


@dataclass(frozen=True)  # no slots: ten thousand tenants are worth a cached property
class Ground:
    """`calls`: per second by place, when every call is answered by its alias's first candidate. `primary`: that
    candidate by alias; of several, because zones are enforced, the earliest. `callers`: calls per second by (alias, tenant). `tenant_calls`: per second by (tenant, provider). `tenant_usd`: about what a tenant spends a
    second at providers with a price. `panels` and `codes`: those of the dashboards, and of errors, that this estate has; None: all."""

    catalog: Catalog
    calls: Mapping[Place, float]
    primary: Mapping[str, Candidate]
    callers: Mapping[tuple[str, str], float]
    tenant_calls: Mapping[tuple[str, str], float]
    tenant_usd: Mapping[str, float]
    panels: Collection[Panel] | None = None
    codes: Collection[str] | None = None

    def has_panel(self, panel: Panel) -> bool:
        """Whether the dashboards of this estate have a panel."""
        return self.panels is None or panel in self.panels

    def busy(self) -> tuple[Place, ...]:
        """Places with enough traffic for a fault there to show."""
        return tuple(place for place, rate in self.calls.items() if rate >= BUSY_PER_S)

    def aliases_at(self, place: Place) -> tuple[str, ...]:
        """Aliases that are answered there first."""
        return tuple(alias for alias, step in self.primary.items() if (step.provider, step.region) == place)

    def local(self, place: Place) -> bool:
        """Whether our own servers are there."""
        return self.catalog.providers[place[0]].tier == "local"

    def servers_at(self, place: Place) -> tuple[str, ...]:
        """The servers of a place of the local tier."""
        provider, region = place
        return tuple(
            name for name, server in self.catalog.providers[provider].servers.items() if server.region == region
        )

    @functools.cached_property
    def places_per_server(self) -> int:
        """How many calls a local server must serve at once, so that ordinary load takes about a third of them."""
        needed = [
            rate * self._seconds(place) / (len(self.servers_at(place)) * _LOCAL_SHARE)
            for place, rate in self.calls.items()
            if self.local(place) and self.servers_at(place)
        ]
        return max(_LEAST_PLACES, math.ceil(max(needed, default=0.0)))

    def capacity(self, place: Place) -> float:
        """Calls per second that the local servers of a place can carry."""
        return len(self.servers_at(place)) * self.places_per_server / self._seconds(place)

    def overload(self, alias: str) -> float:
        """Calls per second to an alias, on top of the usual, that are a quarter more than the servers that answer it can carry."""
        place = (self.primary[alias].provider, self.primary[alias].region)
        return 1.25 * self.capacity(place) - self.calls[place]

    @functools.cached_property
    def quota_calls_per_10s(self) -> int:
        """A tenant's quota at a provider: twice what anyone sends, and more than anyone does who overloads our servers."""
        most = max((2 * rate for rate in self.tenant_calls.values()), default=0.0)
        by_alias: dict[str, float] = {}
        for (alias, _), rate in self.callers.items():
            by_alias[alias] = by_alias.get(alias, 0.0) + rate
        for (alias, tenant), rate in self.callers.items():
            provider, region = self.primary[alias].provider, self.primary[alias].region
            if self.local((provider, region)) and self.servers_at((provider, region)):
                surge = self.overload(alias) * rate / by_alias[alias]
                most = max(most, 1.5 * (self.tenant_calls.get((tenant, provider), 0.0) + surge))
        return max(_LEAST_QUOTA, math.ceil(10 * most))

    def settings(self) -> SandboxSettings:
        """How the simulated estate differs from the catalog, so that every fault can be brought about on one machine."""
        return SandboxSettings(
            gateway_instances=INSTANCES,
            local_concurrency=self.places_per_server,
            tenant_calls_per_10s=self.quota_calls_per_10s,
        )

    def _seconds(self, place: Place) -> float:
        """About how long an answer takes there."""
        typical = self.catalog.providers[place[0]].regions[place[1]].typical
        return typical.p50_seconds * 1.1


def survey(catalog: Catalog, load: Load = LOAD) -> Ground:
    """What `catalog` is under `load`."""
    calls: dict[Place, float] = {}
    tenant_calls: dict[tuple[str, str], float] = {}
    tenant_usd: dict[str, float] = {}
    primary: dict[str, Candidate] = {}
    callers: dict[tuple[str, str], float] = {}
    for part in build_mix(load, catalog):
        # The catalog's check sees to it that there is one.
        first = catalog.candidates_of(catalog.tenants[part.tenant].zone, part.alias)[0]
        rate = load.arrivals_per_second * part.share
        order = catalog.aliases[part.alias].candidates
        primary[part.alias] = min(first, primary.get(part.alias, first), key=order.index)
        callers[part.alias, part.tenant] = callers.get((part.alias, part.tenant), 0.0) + rate
        place = (first.provider, first.region)
        calls[place] = calls.get(place, 0.0) + rate
        bucket = (part.tenant, first.provider)
        tenant_calls[bucket] = tenant_calls.get(bucket, 0.0) + rate
        usd = rate * call_usd(catalog, first, load.prompt_tokens)
        tenant_usd[part.tenant] = tenant_usd.get(part.tenant, 0.0) + usd
    return Ground(catalog, calls, primary, callers, tenant_calls, tenant_usd)


def call_usd(catalog: Catalog, candidate: Candidate, prompt_tokens: int) -> float:
    """About what one call costs by the price book; 0 where it has no price."""
    price = catalog.price_book.models.get(candidate.provider, {}).get(candidate.model)
    return 0.0 if price is None else (prompt_tokens * price.input + _USUAL_OUTPUT * price.output) / 1e6
