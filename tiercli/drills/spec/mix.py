"""The mix of a load on a catalog: which tenants call which aliases for which features, and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tiercli.catalog.model import Candidate, Catalog
from tiercli.catalog.names import unknown_name
from tiercli.drills.spec.model import Load
from tiercli.errors import Location, Problem

# Weights where a mix has none: of the first aliases of a catalog, and of all others together.
_FIRST, _OTHERS = (6.0, 3.0, 2.0), 1.0


@dataclass(frozen=True, slots=True)
class MixPart:
    """One kind of call, and its share of all, 0 to 1."""

    alias: str
    tenant: str
    feature: str
    share: float


def called_aliases(catalog: Catalog) -> list[str]:
    """The aliases that a tenant may call, in the order of the catalog."""
    allowed = {alias for tenant in catalog.tenants.values() for alias in catalog.tenant_aliases(tenant)}
    return [alias for alias in catalog.aliases if alias in allowed]


def weights_in_order(catalog: Catalog) -> dict[str, float]:
    """How often each alias that somebody may call is called, relatively: the first of the catalog most."""
    aliases = called_aliases(catalog)
    others = aliases[len(_FIRST) :]
    return dict(zip(aliases, _FIRST, strict=False)) | {alias: _OTHERS / len(others) for alias in others}


def build_mix(load: Load, catalog: Catalog) -> list[MixPart]:
    """Every (alias, tenant, feature) that the catalog allows and the weights select; shares add up to 1.

    Aliases keep their weights whatever number of tenants may call them.
    """
    mix = load.mix
    aliases = mix.aliases or weights_in_order(catalog)
    by_alias: dict[str, list[tuple[str, str, float]]] = {}
    for tenant_name, tenant in catalog.tenants.items():
        for alias in catalog.tenant_aliases(tenant):
            for feature in tenant.features:
                weight = _weight(mix.tenants, tenant_name) * _weight(mix.features, feature)
                if weight and aliases.get(alias):
                    by_alias.setdefault(alias, []).append((tenant_name, feature, weight))
    whole = sum(aliases[alias] for alias in by_alias)
    parts = []
    for alias, callers in by_alias.items():
        within = sum(weight for _, _, weight in callers)
        share = aliases[alias] / whole
        parts += [MixPart(alias, tenant, feature, share * weight / within) for tenant, feature, weight in callers]
    return parts


def first_calls(load: Load, catalog: Catalog) -> Iterator[tuple[MixPart, Candidate, float]]:
    """Of each part of a load's mix, the candidate that it goes to first, and its calls per second before the load changes shape."""
    for part in build_mix(load, catalog):
        yield part, catalog.aliases[part.alias].candidates[0], load.arrivals_per_second * part.share


def check_mix(load: Load, catalog: Catalog, locate: Callable[[tuple[str | int, ...]], Location]) -> list[Problem]:
    """What is wrong with a mix: names that the catalog does not have, aliases that none of the chosen tenants may call."""
    features = list(dict.fromkeys(feature for tenant in catalog.tenants.values() for feature in tenant.features))
    problems = []
    for key, given, known in (
        ("aliases", load.mix.aliases, list(catalog.aliases)),
        ("tenants", load.mix.tenants, list(catalog.tenants)),
        ("features", load.mix.features, features),
    ):
        for name in given or ():
            if name not in known:
                problems.append(
                    unknown_name(
                        {"aliases": "alias"}.get(key, key.rstrip("s")), name, known, locate(("load", "mix", key, name))
                    )
                )
    if not problems:
        called = {part.alias for part in build_mix(load, catalog)}
        for alias in load.mix.aliases or ():
            if alias not in called:
                message = f"nobody in the mix may call alias {alias!r}"
                problems.append(
                    Problem(
                        locate(("load", "mix", "aliases", alias)), message, "an alias that a tenant of the mix may call"
                    )
                )
        if not called:
            problems.append(
                Problem(locate(("load", "mix")), "the mix leaves no call", "weights that leave at least one")
            )
    return problems


def _weight(weights: dict[str, float] | None, name: str) -> float:
    return 1.0 if weights is None else weights.get(name, 0.0)
