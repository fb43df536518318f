"""Whom a drill is about, by role: `$cloud.provider` is the provider that plays the role `cloud` in a catalog.

So that a drill runs on any estate. Which names play a role follows from the catalog alone, and is the same each time: aliases count
in the order of the catalog, the first is called most. docs/drills.md lists the roles from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tiercli.catalog.model import Catalog
from tiercli.conventions import source_job
from tiercli.drills.spec.mix import called_aliases
from tiercli.signals.sources import exporters_of

Names = Mapping[str, str]
# What an answer of an offer typically takes: numbers, for settings such as `$busiest.p95_seconds * 1.8`.
SECONDS = ("p50_seconds", "p95_seconds")
_NOBODY = "no tenant may call an alias"


@dataclass(frozen=True, slots=True)
class Role:
    """What plays it: names by label, or why nothing does."""

    summary: str
    labels: tuple[str, ...]
    find: Callable[[Catalog], Names | str]


def _first_candidates(catalog: Catalog, tier: str | None = None, *, followed: bool = False) -> Iterator[Names]:
    """Where calls go first, by alias; only those of a tier, and where another candidate follows."""
    for alias in called_aliases(catalog):
        candidates = catalog.aliases[alias].candidates
        first = candidates[0]
        provider = catalog.providers[first.provider]
        if tier in (None, provider.tier) and len(candidates) > followed:
            typical = provider.regions[first.region].typical
            seconds = {name: f"{getattr(typical, name):g}" for name in SECONDS}
            yield {**first.model_dump(), "alias": alias, **seconds}


def _cloud(catalog: Catalog) -> Names | str:
    return next(_first_candidates(catalog, "cloud"), "no alias has its first candidate in the cloud")


def _busiest(catalog: Catalog) -> Names | str:
    cloud = _cloud(catalog)
    return next(_first_candidates(catalog), _NOBODY) if isinstance(cloud, str) else cloud


def _priced(catalog: Catalog) -> Names | str:
    busiest = _busiest(catalog)
    if isinstance(busiest, str) or busiest["model"] in catalog.price_book.models.get(busiest["provider"], {}):
        return busiest
    return f"calls to {busiest['model']} at {busiest['provider']} have no price by tokens"


def _other(catalog: Catalog) -> Names | str:
    busiest = _busiest(catalog)
    if isinstance(busiest, str):
        return busiest
    tier = catalog.providers[busiest["provider"]].tier
    others = [offer for offer in _first_candidates(catalog, tier) if offer["provider"] != busiest["provider"]]
    return next(iter(others), busiest)


def _rescued(catalog: Catalog) -> Names | str:
    rescued = [*_first_candidates(catalog, "cloud", followed=True), *_first_candidates(catalog, followed=True)]
    return next(iter(rescued), "no alias has a second candidate to fall back to")


def _local(catalog: Catalog) -> Names | str:
    return next(_first_candidates(catalog, "local"), "no alias has its first candidate on a server of the estate's own")


def _servers(catalog: Catalog) -> list[Names]:
    return [
        {"server": name, "provider": provider, "region": server.region}
        for provider, name, server in catalog.servers()
        if server.metrics is not None
    ]


def _server(catalog: Catalog) -> Names | str:
    return next(iter(_servers(catalog)), "the catalog names no metrics of a local server")


def _exporter(catalog: Catalog) -> Names | str:
    exporters = [
        {"server": server, "job": source_job(source)}
        for source, servers in exporters_of(catalog).items()
        for _, server in servers
    ]
    return exporters[-1] if exporters else "the catalog names no exporter of a local server's GPUs"


def _callers(catalog: Catalog) -> list[Names]:
    """The tenants that may call the alias of `busiest`, those with the largest budget first."""
    offer = _busiest(catalog)
    if isinstance(offer, str):
        return []
    callers = [name for name, tenant in catalog.tenants.items() if offer["alias"] in catalog.tenant_aliases(tenant)]
    callers.sort(key=lambda name: -catalog.tenants[name].budget_usd_per_month)
    return [{"tenant": name, "alias": offer["alias"], "provider": offer["provider"]} for name in callers]


def _caller(place: Callable[[int], int]) -> Callable[[Catalog], Names | str]:
    """The caller at a place of so many."""

    def find(catalog: Catalog) -> Names | str:
        callers = _callers(catalog)
        return callers[place(len(callers))] if callers else _NOBODY

    return find


def _zoned(catalog: Catalog) -> Names | str:
    regions = list(dict.fromkeys(region for _, region in catalog.provider_regions()))
    offers = [*_first_candidates(catalog, "cloud"), *_first_candidates(catalog, "local")]
    for name, tenant in catalog.tenants.items():
        inside = catalog.zones[tenant.zone].regions
        outside = [region for region in regions if inside is not None and region not in inside]
        for offer in offers:
            if outside and offer["alias"] in catalog.tenant_aliases(tenant):
                return {**offer, "tenant": name, "outside": outside[0]}
    return "no tenant has a zone that leaves out a region of the catalog"


def _scored(catalog: Catalog) -> Names | str:
    scored = [name for name in called_aliases(catalog) if catalog.aliases[name].eval_baseline is not None]
    return {"alias": scored[0]} if scored else "no alias has an eval_baseline"


_OFFER = ("provider", "model", "region", "alias", *SECONDS)
_CALLER = ("tenant", "alias", "provider")
ROLES: Mapping[str, Role] = {
    "busiest": Role(
        "the first candidate of the busiest alias that begins in the cloud, or else anywhere", _OFFER, _busiest
    ),
    "other": Role("the same at another provider of the same tier; where there is none, `busiest`", _OFFER, _other),
    "cloud": Role("the first candidate of the busiest alias that begins in the cloud", _OFFER, _cloud),
    "priced": Role("`busiest`, where its calls have a price by tokens", _OFFER, _priced),
    "rescued": Role("as `busiest`, of an alias that has another candidate to fall back to", _OFFER, _rescued),
    "local": Role("the first candidate of the busiest alias that begins on own servers", _OFFER, _local),
    "server": Role("the first local server whose metrics the catalog names", ("server", "provider", "region"), _server),
    "exporter": Role("the exporter of the last local server's GPUs", ("server", "job"), _exporter),
    "spender": Role(
        "the tenant with the largest budget of those that may call `busiest`", _CALLER, _caller(lambda count: 0)
    ),
    "tenant": Role("the one in the middle of these, by budget", _CALLER, _caller(lambda count: count // 2)),
    "saver": Role("the one with the smallest budget of these", _CALLER, _caller(lambda count: -1)),
    "zoned": Role(
        "a tenant whose zone leaves out a region (`outside`), and where its calls begin",
        (*_OFFER, "tenant", "outside"),
        _zoned,
    ),
    "scored": Role("an alias whose answers are scored", ("alias",), _scored),
}
