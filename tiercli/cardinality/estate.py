"""What the tenants of a catalog can bring about, as counts: how many combinations of labels, found without building them.

Tenants are the dimension that grows, so everything is counted per tenant, or per distinct set of features or aliases; nothing
here loops over tenants × features × aliases. Each count takes the labels that are kept, and is of their distinct combinations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal

from tiercli.catalog.model import Catalog, Tenant
from tiercli.signals.label_policy import TENANT, TenantGroups

Labels = frozenset[str]
# What a tenant reaches: the regions or providers of the candidates of its aliases, or the regions outside its zone.
_Reached = Literal["region", "provider", "outside"]
# What decides that: tenants of which it is the same reach the same.
_DECIDED_BY = {
    "region": attrgetter("aliases", "zone"),
    "provider": attrgetter("aliases", "zone"),
    "outside": attrgetter("zone"),
}


class Estates:
    """The counts of one catalog by how tenants are grouped."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._shared = _Shared(catalog)
        self._counts: dict[TenantGroups | None, EstateCounts] = {}

    def of(self, groups: TenantGroups | None) -> EstateCounts:
        """The counts for one grouping; None: every tenant keeps its name."""
        if groups not in self._counts:
            self._counts[groups] = EstateCounts(self.catalog, groups, self._shared)
        return self._counts[groups]


class _Shared:
    """What tenants have and reach, however they are grouped; worked out once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._reached: dict[tuple[_Reached, object], frozenset[str]] = {}

    @cached_property
    def features(self) -> dict[int, int]:
        """The features of each tenant by its id(), one bit a feature: a union over ten thousand tenants is an `or`."""
        bits: dict[str, int] = {}
        features: dict[int, int] = {}
        for tenant in self._catalog.tenants.values():
            mask = 0
            for feature in tenant.features:
                mask |= 1 << bits.setdefault(feature, len(bits))
            features[id(tenant)] = mask
        return features

    @cached_property
    def _of_aliases(self) -> dict[tuple[str, str], dict[str, frozenset[str]]]:
        """By label and zone, what is tried of each alias."""
        catalog = self._catalog
        return {
            (label, zone): {
                name: frozenset(getattr(candidate, label) for candidate in catalog.candidates_of(zone, name))
                for name in catalog.aliases
            }
            for label in ("region", "provider")
            for zone in catalog.zones
        }

    def reached(self, what: _Reached, key: Any) -> frozenset[str]:
        """What tenants with these aliases (None: all) and this zone, or in this zone, reach."""
        if (what, key) not in self._reached:
            if what == "outside":
                allowed = self._catalog.zones[key].regions
                regions = {region for _, region in self._catalog.provider_regions()}
                self._reached[what, key] = frozenset() if allowed is None else frozenset(regions.difference(allowed))
            else:
                aliases, zone = key
                names = self._catalog.aliases if aliases is None else aliases
                self._reached[what, key] = frozenset().union(*map(self._of_aliases[what, zone].__getitem__, names))
        return self._reached[what, key]


class EstateCounts:
    """The counts of one catalog, its tenants grouped or not. A name that stands twice in a list counts once."""

    def __init__(self, catalog: Catalog, groups: TenantGroups | None = None, shared: _Shared | None = None) -> None:
        self.catalog = catalog
        self.known: dict[tuple[object, Labels], int] = {}  # counts of relations that were needed before
        self._shared = shared or _Shared(catalog)
        kept = None if groups is None else groups.kept
        tenants = catalog.tenants.items()
        self._single = [tenant for name, tenant in tenants if kept is None or name in kept]
        self._rest = [tenant for name, tenant in tenants if kept is not None and name not in kept]
        self._sizes: dict[_Reached, Counter[int]] = {}

    def tenants(self, kept: Labels) -> int:
        """Of (tenant): label values."""
        return len(self._single) + bool(self._rest) if TENANT in kept else int(bool(self.catalog.tenants))

    def spending(self, kept: Labels) -> int:
        """Of (tenant, feature, alias): each tenant's own features times the aliases that it may call."""
        features, aliases = "feature" in kept, "alias" in kept
        if TENANT not in kept:
            return self._features_by_alias(list(self.catalog.tenants.values()), features, aliases)
        total = sum(
            count * (own if features else min(own, 1)) * (callable_ if aliases else min(callable_, 1))
            for (own, callable_), count in self._features_and_aliases.items()
        )
        return total + self._features_by_alias(self._rest, features, aliases)

    def tenant_features(self, kept: Labels) -> int:
        """Of (tenant, feature), whatever a tenant may call."""
        by_value = list(self._by_label_value(TENANT in kept))
        if "feature" not in kept:
            return len(by_value)
        return sum(len({feature for tenant in tenants for feature in tenant.features}) for tenants in by_value)

    def calls(self, kept: Labels) -> int:
        """Of (tenant, region, status): client calls. One that is refused before it is routed has no region; one of an unknown
        tenant has no tenant either. Both are failures."""

        def label_sets(regions: int) -> int:
            if "region" in kept:
                return (2 if "status" in kept else 1) * regions + 1
            return (2 if regions else 1) if "status" in kept else 1

        total = self._summed("region", TENANT in kept, label_sets)
        return total + 1 if TENANT in kept else max(total, 1)

    def tenant_providers(self, kept: Labels) -> int:
        """Of (tenant, provider): where the candidates of the aliases that a tenant may call are."""
        return self._summed("provider", TENANT in kept, lambda count: count if "provider" in kept else min(count, 1))

    def tenant_outside_regions(self, kept: Labels) -> int:
        """Of (tenant, region): outside the tenant's zone, where a call of it would be a violation."""
        return self._summed("outside", TENANT in kept, lambda count: count if "region" in kept else min(count, 1))

    def _summed(self, what: _Reached, by_tenant: bool, label_sets: Callable[[int], int]) -> int:
        """The label sets of each tenant, by how much it reaches; of all together where they have no label of their own."""
        together = self._rest if by_tenant else list(self.catalog.tenants.values())
        total = sum(count * label_sets(size) for size, count in self._reach_sizes(what).items()) if by_tenant else 0
        if together:
            keys = set(map(_DECIDED_BY[what], together))
            total += label_sets(len(frozenset().union(*(self._shared.reached(what, key) for key in keys))))
        return total

    def _reach_sizes(self, what: _Reached) -> Counter[int]:
        """How many of the tenants that keep their own label value reach how much."""
        if what not in self._sizes:
            sizes: Counter[int] = Counter()
            for key, number in Counter(map(_DECIDED_BY[what], self._single)).items():
                sizes[len(self._shared.reached(what, key))] += number
            self._sizes[what] = sizes
        return self._sizes[what]

    @cached_property
    def _features_and_aliases(self) -> Counter[tuple[int, int]]:
        """How many tenants of their own label value have how many features and may call how many aliases."""
        every = len(self.catalog.aliases)
        return Counter(
            (len(set(tenant.features)), every if tenant.aliases is None else len(set(tenant.aliases)))
            for tenant in self._single
        )

    def _by_label_value(self, by_tenant: bool) -> Iterator[Sequence[Tenant]]:
        """The tenants by label value; all of them together where there is no such label."""
        if not by_tenant:
            yield from ([tuple(self.catalog.tenants.values())] if self.catalog.tenants else [])
            return
        yield from ((tenant,) for tenant in self._single)
        if self._rest:
            yield self._rest

    def _features_by_alias(self, tenants: Sequence[Tenant], features: bool, aliases: bool) -> int:
        """Distinct (feature, alias), or the kept ones of the two, that `tenants` can bring about."""
        of_tenant = self._shared.features
        by_aliases: dict[tuple[str, ...] | None, int] = {}
        for tenant in tenants:
            by_aliases[tenant.aliases] = by_aliases.get(tenant.aliases, 0) | of_tenant[id(tenant)]
        by_alias: dict[str, int] = dict.fromkeys(self.catalog.aliases, 0)
        for names, mask in by_aliases.items():
            for alias in self.catalog.aliases if names is None else names:
                by_alias[alias] |= mask
        return _count_bits(by_alias, features, aliases)


def _count_bits(features_by_alias: Mapping[str, int], features: bool, aliases: bool) -> int:
    if features and aliases:
        return sum(mask.bit_count() for mask in features_by_alias.values())
    if aliases:
        return sum(mask != 0 for mask in features_by_alias.values())
    union = 0
    for mask in features_by_alias.values():
        union |= mask
    return union.bit_count() if features else min(union, 1)
