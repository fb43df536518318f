"""Who called, and which model, in the catalog's names: what callers write becomes a label only if the catalog has it."""

from __future__ import annotations

import urllib.parse
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from tiercli.audit.identity import CALLER_HEADER
from tiercli.audit.record import Usage
from tiercli.catalog.environment import ProviderEndpoint
from tiercli.catalog.model import Candidate, Catalog, Price
from tiercli.signals.costs import gpu_cost_usd, token_cost_usd

OWN_HEADERS = ("x-tenant", "x-feature", "x-alias", CALLER_HEADER)  # who called, and for what
_REMEMBERED = 4096  # what callers send again and again
_LONGEST = 201  # characters: no name of a catalog has more than 200
_LONGEST_HEADER = 4 * 3 * _LONGEST  # of such a name in UTF-8, percent-encoded


@dataclass(frozen=True, slots=True)
class Names:
    """A call in the catalog's names; "" stands for no name, and for one that the catalog does not have. `step`: the endpoint's
    number among the alias's candidates, None if it is not a candidate."""

    tenant: str
    feature: str
    alias: str
    model: str
    step: int | None


class Place:
    """One endpoint as the catalog has it. `unknown` counts the names that the catalog does not have, by what they should name."""

    def __init__(self, catalog: Catalog, endpoint: ProviderEndpoint) -> None:
        self.provider, self.region, self.server = endpoint.provider, endpoint.region, endpoint.server
        self.unknown: Counter[str] = Counter()
        self._catalog = catalog
        provider = catalog.providers[endpoint.provider]
        self.tier = provider.tier
        server = provider.servers[endpoint.server] if endpoint.server is not None else None
        offered = {
            offer.model
            for offer in catalog.offers()
            if (offer.provider, offer.region) == (endpoint.provider, endpoint.region)
        }
        self._models = offered if server is None else offered | set(server.models)
        self._gpus = server.gpus if server is not None else 1
        self._concurrency = provider.regions[endpoint.region].typical.concurrency
        self._prices = catalog.price_book.models.get(endpoint.provider, {})
        self._named = lru_cache(maxsize=_REMEMBERED)(self._names)

    @property
    def labels(self) -> dict[str, str]:
        """What a fault's target can name."""
        labels = {"provider": self.provider, "region": self.region, "tier": self.tier}
        return labels if self.server is None else {**labels, "server": self.server}

    def names(self, tenant: str, feature: str, alias: str, model: str) -> Names:
        """The names of a call, from its headers (percent-encoded) and the model that it names. The model can be an alias. Without
        an alias, it is the one that has this candidate earliest."""
        headers = (header[:_LONGEST_HEADER] for header in (tenant, feature, alias))
        names, unknown = self._named(*headers, model[:_LONGEST])
        self.unknown.update(unknown)
        return names

    def cost_usd(self, model: str, usage: Usage | None, seconds: float) -> float | None:
        """US dollars of an attempt: tokens by the price book; for a local server without a token price the share of its GPU
        time. None if neither is known."""
        price: Price | None = self._prices.get(model)
        if price is not None and usage is not None:
            return token_cost_usd(
                price,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read=usage.cache_read_tokens,
                cache_write=usage.cache_write_tokens,
            )
        per_hour = self._catalog.price_book.gpu_usd_per_hour
        if price is None and self.tier == "local" and per_hour is not None:
            return gpu_cost_usd(self._gpus, self._concurrency, seconds, per_hour)
        return None

    def _names(self, tenant: str, feature: str, alias: str, model: str) -> tuple[Names, tuple[str, ...]]:
        tenant, feature, alias = map(urllib.parse.unquote, (tenant, feature, alias))
        catalog, unknown = self._catalog, []
        known = catalog.tenants.get(tenant)
        if tenant and known is None:
            unknown.append("tenant")
        own_feature = known is not None and feature in known.features
        if feature and not own_feature:
            unknown.append("feature")
        if alias and alias not in catalog.aliases:
            unknown.append("alias")
        called = alias if alias in catalog.aliases else model if model in catalog.aliases else ""
        served = model if model in self._models else self._model_of(called)
        if model and not served:
            unknown.append("model")
        if not called:
            called = self._alias_of(served)
        names = Names(
            tenant=tenant if known is not None else "",
            feature=feature if own_feature else "",
            alias=called,
            model=served,
            step=self._step(called, served),
        )
        return names, tuple(unknown)

    def _is_here(self, candidate: Candidate) -> bool:
        return (candidate.provider, candidate.region) == (self.provider, self.region)

    def _model_of(self, alias: str) -> str:
        """The model that an alias has here; "" if it has none."""
        candidates = self._catalog.aliases[alias].candidates if alias else ()
        return next((candidate.model for candidate in candidates if self._is_here(candidate)), "")

    def _step(self, alias: str, model: str) -> int | None:
        candidates = self._catalog.aliases[alias].candidates if alias else ()
        here = (step for step, to in enumerate(candidates) if self._is_here(to) and to.model == model)
        return next(here, None)

    def _alias_of(self, model: str) -> str:
        """The alias that has this candidate earliest; of several the first in the catalog."""
        steps = {alias: self._step(alias, model) for alias in self._catalog.aliases}
        known = {alias: step for alias, step in steps.items() if step is not None}
        return min(known, key=known.__getitem__, default="")
