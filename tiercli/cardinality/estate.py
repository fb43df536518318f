"""What a catalog allows, as counts: how many combinations of labels can occur, found without building them.

Tenants are the dimension that grows, so whatever has a tenant in it is counted per tenant, or per distinct set of
features or aliases; nothing here loops over tenants × features × aliases.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from tiercli.catalog.model import Catalog, Offer, Tenant


class EstateCounts:
    """The counts of one catalog. Everything is distinct: a name that stands twice counts once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @cached_property
    def offers(self) -> frozenset[Offer]:
        """Every (provider, model, region) that is offered."""
        return frozenset(self._catalog.offers())

    @cached_property
    def candidates(self) -> int:
        """Places in aliases: each has one provider, model, region and step."""
        return sum(len(alias.candidates) for alias in self._catalog.aliases.values())

    @cached_property
    def falls(self) -> int:
        """Steps from one candidate of an alias to the next. Every candidate lies in the zone of every tenant that may
        call the alias (validation sees to it), so none is passed over."""
        return sum(len(alias.candidates) - 1 for alias in self._catalog.aliases.values())

    @cached_property
    def alias_models(self) -> int:
        """(provider, model, alias), regions put together."""
        return sum(
            len({(candidate.provider, candidate.model) for candidate in alias.candidates})
            for alias in self._catalog.aliases.values()
        )

    @cached_property
    def providers(self) -> int:
        """Providers of the catalog."""
        return len(self._catalog.providers)

    @cached_property
    def declared_regions(self) -> int:
        """(provider, region) of the catalog, whether or not a model is offered there."""
        return len(set(self._catalog.provider_regions()))

    @cached_property
    def aliases(self) -> int:
        """Aliases of the catalog."""
        return len(self._catalog.aliases)

    @cached_property
    def tenants(self) -> int:
        """Tenants of the catalog."""
        return len(self._catalog.tenants)

    @cached_property
    def tiers(self) -> int:
        """Tiers that the catalog's providers are of."""
        return len({provider.tier for provider in self._catalog.providers.values()})

    @cached_property
    def prices(self) -> int:
        """(provider, model, direction) that the price book has a price for."""
        prices = (price for models in self._catalog.price_book.models.values() for price in models.values())
        return sum(2 + (price.cache_read is not None) + (price.cache_write is not None) for price in prices)

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

    @cached_property
    def served_models(self) -> int:
        """(model, server) of the local tier."""
        servers = (server for provider in self._catalog.providers.values() for server in provider.servers.values())
        return sum(len(set(server.models)) for server in servers)

    @cached_property
    def tenant_spending(self) -> int:
        """(tenant, feature, alias): each tenant's own features times the aliases that it may call."""
        return sum(len(set(tenant.features)) * len(self._callable(tenant)) for tenant in self._each_tenant())

    @cached_property
    def tenant_features(self) -> int:
        """(tenant, feature)."""
        return sum(len(set(tenant.features)) for tenant in self._each_tenant())

    @cached_property
    def tenant_regions(self) -> int:
        """(tenant, region): where the candidates of the aliases that a tenant may call lie."""
        return self._reach("region")

    @cached_property
    def tenant_providers(self) -> int:
        """(tenant, provider): likewise."""
        return self._reach("provider")

    @cached_property
    def tenant_outside_regions(self) -> int:
        """(tenant, region) outside the tenant's zone: where a call of it would be a violation."""
        regions = {region for _, region in self._catalog.provider_regions()}
        outside = {
            name: 0 if zone.regions is None else len(regions - set(zone.regions))
            for name, zone in self._catalog.zones.items()
        }
        return sum(outside[tenant.zone] for tenant in self._each_tenant())

    @cached_property
    def alias_features(self) -> int:
        """(alias, feature) that at least one tenant can bring about. Sets of features are integers, one bit a feature:
        the union over ten thousand tenants is an `or`."""
        bits: dict[str, int] = {}
        masks: dict[tuple[str, ...], int] = {}
        unions: dict[tuple[str, ...] | None, int] = {}
        for tenant in self._each_tenant():
            mask = masks.get(tenant.features)
            if mask is None:
                mask = 0
                for feature in tenant.features:
                    mask |= 1 << bits.setdefault(feature, len(bits))
                masks[tenant.features] = mask
            unions[tenant.aliases] = unions.get(tenant.aliases, 0) | mask
        by_alias: dict[str, int] = dict.fromkeys(self._catalog.aliases, 0)
        for aliases, mask in unions.items():
            for alias in self._catalog.aliases if aliases is None else aliases:
                by_alias[alias] |= mask
        return sum(mask.bit_count() for mask in by_alias.values())

    def projections(self, labels: Iterable[str]) -> int:
        """Distinct values of some of the labels provider, model and region over the offers."""
        places = [Offer._fields.index(label) for label in labels]
        return len({tuple(offer[place] for place in places) for offer in self.offers})

    def _each_tenant(self) -> Iterable[Tenant]:
        return self._catalog.tenants.values()

    def _callable(self, tenant: Tenant) -> frozenset[str]:
        return frozenset(self._catalog.tenant_aliases(tenant))

    def _reach(self, label: str) -> int:
        of_alias = {
            name: {getattr(candidate, label) for candidate in alias.candidates}
            for name, alias in self._catalog.aliases.items()
        }
        known: dict[tuple[str, ...] | None, int] = {}
        total = 0
        for tenant in self._each_tenant():
            if tenant.aliases not in known:
                reached: set[str] = set()
                for alias in self._catalog.tenant_aliases(tenant):
                    reached |= of_alias[alias]
                known[tenant.aliases] = len(reached)
            total += known[tenant.aliases]
        return total
