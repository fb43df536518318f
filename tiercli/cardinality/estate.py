"""What a catalog allows, as counts: how many combinations of labels can occur, found without building them.

Tenants are the dimension that grows, so whatever has a tenant in it is counted per tenant, or per distinct set of
features or aliases; nothing here loops over tenants × features × aliases. What has no tenant in it is as long as the catalog's
own lists, and is listed.

Each count takes the labels that are kept: the count is of the distinct combinations of those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, TypeVar

from tiercli.cardinality.feature_masks import count_features, feature_masks, tenant_masks
from tiercli.catalog.model import Catalog, Offer, Tenant
from tiercli.signals.label_policy import TENANT, TenantGroups

Labels = frozenset[str]
_K = TypeVar("_K", str, tuple[str, ...] | None)


class Estates:
    """The counts of one catalog by how tenants are grouped."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._plain = EstateCounts(catalog)
        self._grouped: dict[TenantGroups, EstateCounts] = {}

    def of(self, groups: TenantGroups | None) -> EstateCounts:
        """Those of one grouping; None is none."""
        if groups is None:
            return self._plain
        if groups not in self._grouped:
            self._grouped[groups] = EstateCounts(self.catalog, groups, self._plain)
        return self._grouped[groups]


class EstateCounts:
    """The counts of one catalog, its tenants grouped or not. Everything is distinct: a name that stands twice counts once."""

    def __init__(self, catalog: Catalog, groups: TenantGroups | None = None, like: EstateCounts | None = None) -> None:
        """`like`: counts of the same catalog, whose tenants are grouped otherwise; what both need is worked out once."""
        self._catalog = catalog
        self._groups = groups
        # Of tenants that may call the same aliases, what they reach is worked out once.
        self._reached: dict[tuple[str, tuple[str, ...] | None], frozenset[str]] = (
            like._reached if like is not None else {}
        )
        self._of_alias: dict[str, dict[str, frozenset[str]]] = like._of_alias if like is not None else {}
        self._tenant_masks: dict[int, int] = (
            like._tenant_masks if like is not None else tenant_masks(catalog.tenants.values())
        )
        self._single_by: dict[object, Counter[Any]] = {}
        self._reach_sizes: dict[tuple[object, object], Counter[int]] = {}
        self.known: dict[tuple[object, Labels], int] = {}  # what relations have asked before

    @cached_property
    def _offers(self) -> frozenset[Offer]:
        return frozenset(self._catalog.offers())

    def offers(self, kept: Labels) -> int:
        """Of (provider, model, region): what is offered."""
        return _distinct(self._offers, Offer._fields, kept)

    def candidates(self, kept: Labels) -> int:
        """Of (alias, provider, model, region, fallback_step): the places of aliases."""
        places = (
            (name, one.provider, one.model, one.region, step)
            for name, alias in self._catalog.aliases.items()
            for step, one in enumerate(alias.candidates)
        )
        return _distinct(places, ("alias", "provider", "model", "region", "fallback_step"), kept)

    def falls(self, kept: Labels) -> int:
        """Of (alias, from, to): steps from one candidate of an alias to the next. Every candidate lies in the zone of every
        tenant that may call the alias (validation sees to it), so none is passed over."""
        steps = (
            (name, tuple(last.model_dump().values()), tuple(then.model_dump().values()))
            for name, alias in self._catalog.aliases.items()
            for last, then in pairwise(alias.candidates)
        )
        return _distinct(steps, ("alias", "from", "to"), kept)

    def alias_models(self, kept: Labels) -> int:
        """Of (provider, model, alias), regions put together."""
        places = (
            (one.provider, one.model, name) for name, alias in self._catalog.aliases.items() for one in alias.candidates
        )
        return _distinct(places, ("provider", "model", "alias"), kept)

    def aliases(self, kept: Labels) -> int:
        """Of (alias): those of the catalog."""
        return _distinct(((name,) for name in self._catalog.aliases), ("alias",), kept)

    def providers(self, kept: Labels) -> int:
        """Of (provider): those of the catalog."""
        return _distinct(((name,) for name in self._catalog.providers), ("provider",), kept)

    def served_models(self, kept: Labels) -> int:
        """Of (model, server): the local tier's."""
        served = ((model, name) for _, name, server in self._catalog.servers() for model in server.models)
        return _distinct(served, ("model", "server"), kept)

    @cached_property
    def declared_regions(self) -> int:
        """(provider, region) of the catalog, whether or not a model is offered there."""
        return len(set(self._catalog.provider_regions()))

    @cached_property
    def tiers(self) -> int:
        """Tiers that the catalog's providers are of."""
        return len({provider.tier for provider in self._catalog.providers.values()})

    @cached_property
    def tier_falls(self) -> int:
        """(from tier, to tier) of the steps from one candidate of an alias to the next."""
        tiers = {name: provider.tier for name, provider in self._catalog.providers.items()}
        steps = (pairwise(alias.candidates) for alias in self._catalog.aliases.values())
        return len({(tiers[last.provider], tiers[then.provider]) for pairs in steps for last, then in pairs})

    @cached_property
    def prices(self) -> int:
        """(provider, model, direction) that the price book has a price for."""
        prices = (price for models in self._catalog.price_book.models.values() for price in models.values())
        return sum(2 + (price.cache_read is not None) + (price.cache_write is not None) for price in prices)

    @cached_property
    def eval_targets(self) -> int:
        """Aliases whose evals are held to a score."""
        return sum(alias.eval_baseline is not None for alias in self._catalog.aliases.values())

    @cached_property
    def deployments(self) -> int:
        """Stable ids that the catalog gives a meaning to."""
        return len(self._catalog.gateway.deployments)

    @cached_property
    def servers(self) -> int:
        """Servers of the local tier."""
        return sum(len(provider.servers) for provider in self._catalog.providers.values())

    @cached_property
    def gpus(self) -> int:
        """GPUs of the local tier."""
        return sum(server.gpus for _, _, server in self._catalog.servers())

    @cached_property
    def priced_gpu_regions(self) -> int:
        """(provider, region) of local servers, where GPU hours have a price."""
        if self._catalog.price_book.gpu_usd_per_hour is None:
            return 0
        return len({(provider, server.region) for provider, _, server in self._catalog.servers()})

    def tenants(self, kept: Labels) -> int:
        """Of (tenant): label values."""
        return len(self._single) + bool(self._rest) if TENANT in kept else int(bool(self._catalog.tenants))

    def spending(self, kept: Labels) -> int:
        """Of (tenant, feature, alias): each tenant's own features times the aliases that it may call."""
        features, aliases = "feature" in kept, "alias" in kept
        if TENANT not in kept:
            return count_features(self._masks, features, aliases)
        total = sum(
            count * (own if features else min(own, 1)) * (callable_ if aliases else min(callable_, 1))
            for (own, callable_), count in self._sizes.items()
        )
        return total + count_features(self._rest_masks, features, aliases)

    def tenant_features(self, kept: Labels) -> int:
        """Of (tenant, feature), whatever a tenant may call."""
        bunches = self._bunches(TENANT in kept)
        if "feature" not in kept:
            return sum(1 for _ in bunches)
        return sum(len({feature for tenant in bunch for feature in tenant.features}) for bunch in bunches)

    def calls(self, kept: Labels) -> int:
        """Of (tenant, region, status): client calls. One that is refused before it is routed has no region; one of an unknown
        tenant has no tenant either. Both are failures."""
        region, status = "region" in kept, "status" in kept
        total = self._summed(
            _aliases, partial(self._reach, "region"), TENANT in kept, lambda reached: _calls(reached, region, status)
        )
        return total + 1 if TENANT in kept else max(total, 1)

    def tenant_providers(self, kept: Labels) -> int:
        """Of (tenant, provider): where the candidates of the aliases that a tenant may call are."""
        every = "provider" in kept
        reach = partial(self._reach, "provider")
        return self._summed(_aliases, reach, TENANT in kept, lambda reached: reached if every else min(reached, 1))

    def tenant_outside_regions(self, kept: Labels) -> int:
        """Of (tenant, region): outside the tenant's zone, where a call of it would be a violation."""
        every = "region" in kept
        return self._summed(_zone, self._outside, TENANT in kept, lambda outside: outside if every else min(outside, 1))

    def _summed(
        self,
        of: Callable[[Tenant], _K],
        reached: Callable[[_K], frozenset[str]],
        by_tenant: bool,
        label_sets: Callable[[int], int],
    ) -> int:
        """The label sets of each tenant, by how much it reaches. Tenants of which `of` is the same reach the same."""
        everybody = self._rest if by_tenant else list(self._catalog.tenants.values())
        total = 0
        if by_tenant:
            total = sum(count * label_sets(size) for size, count in self._reaches(of, reached).items())
        if everybody:
            total += label_sets(len(frozenset().union(*(reached(key) for key in set(map(of, everybody))))))
        return total

    def _reaches(self, of: Callable[[Tenant], _K], reached: Callable[[_K], frozenset[str]]) -> Counter[int]:
        """How many of the tenants that keep their own label value reach how much."""
        key = (of, getattr(reached, "args", reached))
        if key not in self._reach_sizes:
            sizes: Counter[int] = Counter()
            if of not in self._single_by:
                self._single_by[of] = Counter(map(of, self._single))
            for one, count in self._single_by[of].items():
                sizes[len(reached(one))] += count
            self._reach_sizes[key] = sizes
        return self._reach_sizes[key]

    @cached_property
    def _sizes(self) -> Counter[tuple[int, int]]:
        """How many of them have so many features and may call so many aliases."""
        every = len(self._catalog.aliases)
        return Counter(
            (len(set(tenant.features)), every if tenant.aliases is None else len(set(tenant.aliases)))
            for tenant in self._single
        )

    @cached_property
    def _single(self) -> list[Tenant]:
        """The tenants that keep their own label value."""
        kept = None if self._groups is None else self._groups.kept
        return [tenant for name, tenant in self._catalog.tenants.items() if kept is None or name in kept]

    @cached_property
    def _rest(self) -> list[Tenant]:
        """The tenants that are one."""
        kept = None if self._groups is None else self._groups.kept
        return [tenant for name, tenant in self._catalog.tenants.items() if kept is not None and name not in kept]

    def _bunches(self, by_tenant: bool) -> Iterator[Sequence[Tenant]]:
        """The tenants by label value; all of them together where there is no such label."""
        if not by_tenant:
            yield from ([tuple(self._catalog.tenants.values())] if self._catalog.tenants else [])
            return
        yield from ((tenant,) for tenant in self._single)
        if self._rest:
            yield self._rest

    @cached_property
    def _masks(self) -> dict[str, int]:
        return feature_masks(self._catalog, list(self._catalog.tenants.values()), self._tenant_masks)

    @cached_property
    def _rest_masks(self) -> dict[str, int]:
        return feature_masks(self._catalog, self._rest, self._tenant_masks)

    def _reach(self, label: str, aliases: tuple[str, ...] | None) -> frozenset[str]:
        """The regions, or providers, of the candidates that aliases have."""
        key = (label, aliases)
        reached = self._reached.get(key)
        if reached is None:
            if label not in self._of_alias:
                self._of_alias[label] = {
                    name: frozenset(getattr(one, label) for one in alias.candidates)
                    for name, alias in self._catalog.aliases.items()
                }
            of_alias = self._of_alias[label]
            names = self._catalog.aliases if aliases is None else aliases
            reached = self._reached[key] = frozenset().union(*map(of_alias.__getitem__, names))
        return reached

    def _outside(self, zone: str) -> frozenset[str]:
        """The regions that do not lie in a zone."""
        allowed = self._catalog.zones[zone].regions
        regions = {region for _, region in self._catalog.provider_regions()}
        return frozenset() if allowed is None else frozenset(regions.difference(allowed))


def _zone(tenant: Tenant) -> str:
    return tenant.zone


def _aliases(tenant: Tenant) -> tuple[str, ...] | None:
    return tenant.aliases


def _distinct(rows: Iterable[tuple[object, ...]], labels: Sequence[str], kept: Labels) -> int:
    places = [place for place, label in enumerate(labels) if label in kept]
    return len({tuple(row[place] for place in places) for row in rows})


def _calls(regions: int, region: bool, status: bool) -> int:
    """Label sets of one tenant that reaches so many regions: success and failure in each, and a failure in none."""
    if region:
        return (2 if status else 1) * regions + 1
    return (2 if regions else 1) if status else 1
