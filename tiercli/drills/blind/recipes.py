"""The faults of a blind drill: what each looks like to an on-call, whom it can meet, how strong it is. One line a fault.

Left out here is what no dashboard could show: a fault of a place that nobody calls first, of one server's answers alone (its own
metrics do not see what happens on the way), and a gateway that is not scraped, which looks like one that is gone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiercli.conventions import SERVERS_JOB
from tiercli.drills.blind import panels
from tiercli.drills.blind.answer import METRICS, Culprit, Kind, place
from tiercli.drills.blind.ground import BUSY_PER_S, Ground, Place, call_usd
from tiercli.signals.sources import local_targets

_LONG_PROMPTS = (3000, 6000)  # tokens
Settings = Callable[[random.Random, Ground, "Target"], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a fault meets: the labels of its target, and who is right to be named."""

    labels: Mapping[str, str]
    culprits: tuple[Culprit, ...]
    at: Place = ("", "")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A fault, the answer to it, its targets in an estate, and its settings there."""

    fault: str
    kind: Kind
    targets: Callable[[Ground], Sequence[Target]]
    settings: Settings


def _named(ground: Ground, at: Place) -> tuple[Culprit, ...]:
    """A place; of a provider with one region, its name is enough."""
    alone = len(ground.catalog.providers[at[0]].regions) == 1
    return (place(*at), Culprit("provider", at[0])) if alone else (place(*at),)


def _places(ground: Ground) -> list[Target]:
    return [Target({"provider": at[0], "region": at[1]}, _named(ground, at), at) for at in ground.busy()]


def _places_or_servers(ground: Ground) -> list[Target]:
    """A place, or one of several servers there."""
    places = _places(ground)
    for at in ground.busy():
        servers = ground.servers_at(at) if ground.local(at) and ground.has_panel(panels.FINISHED) else ()
        for name in servers if len(servers) > 1 else ():
            labels = {"provider": at[0], "region": at[1], "server": name}
            places.append(Target(labels, (Culprit("server", name),), at))
    return places


def _places_of_aliases(ground: Ground) -> list[Target]:
    """What shows by alias: the place, or an alias that is answered there first."""
    return [
        Target(
            place_.labels,
            (*place_.culprits, *(Culprit("alias", name) for name in ground.aliases_at(place_.at))),
            place_.at,
        )
        for place_ in _places(ground)
    ]


def _out_of_zone(ground: Ground) -> list[Target]:
    """Places whose answers can come from where some of their callers' data may not go."""
    regions = dict.fromkeys(region for _, region in ground.catalog.provider_regions())
    return [
        Target(place_.labels, (Culprit("region", region), *place_.culprits), (place_.at[0], region))
        for place_ in _places(ground)
        for region in regions
        if region != place_.at[1] and _calls_bound_elsewhere(ground, place_.at, region) >= 1
    ]


def _calls_bound_elsewhere(ground: Ground, at: Place, region: str) -> float:
    """Calls per second to a provider of tenants who call it there and may not be served in `region`."""
    calls = 0.0
    for tenant in dict.fromkeys(tenant for alias, tenant in ground.callers if alias in ground.aliases_at(at)):
        allowed = ground.catalog.zones[ground.catalog.tenants[tenant].zone].regions
        if allowed is not None and region not in allowed:
            calls += ground.tenant_calls.get((tenant, at[0]), 0.0)
    return calls


def _aliases(ground: Ground) -> list[Target]:
    return [Target({"alias": name}, (Culprit("alias", name),)) for name in ground.primary]


def _local_aliases(ground: Ground) -> list[Target]:
    """Aliases that our own servers answer first."""
    return [
        Target({"alias": alias}, (*_named(ground, at), Culprit("alias", alias)), at)
        for alias, step in ground.primary.items()
        if ground.local(at := (step.provider, step.region)) and ground.servers_at(at)
    ]


def _cloud_callers(ground: Ground) -> list[Target]:
    """Tenants, with an alias that a cloud provider answers them first."""
    return [
        Target({"tenant": tenant, "alias": alias}, (Culprit("tenant", tenant),), at)
        for alias, tenant in ground.callers
        if not ground.local(at := (ground.primary[alias].provider, ground.primary[alias].region))
    ]


def _spenders(ground: Ground) -> list[Target]:
    """Of those, who can come to spend three times what they did."""
    spenders = []
    for caller in _cloud_callers(ground):
        tenant, alias = caller.labels["tenant"], caller.labels["alias"]
        usd = call_usd(ground.catalog, ground.primary[alias], _LONG_PROMPTS[0])
        if _spending_calls(ground, caller) * usd >= 2 * ground.tenant_usd[tenant]:
            spenders.append(caller)
    return spenders


def _priced_providers(ground: Ground) -> list[Target]:
    prices = ground.catalog.price_book.models
    rates: dict[str, float] = {}
    for (provider, _), rate in ground.calls.items():
        rates[provider] = rates.get(provider, 0.0) + rate
    providers = []
    for provider, rate in rates.items():
        regions = tuple(ground.catalog.providers[provider].regions)
        alone = (place(provider, regions[0]),) if len(regions) == 1 else ()
        if prices.get(provider) and rate >= BUSY_PER_S:
            providers.append(Target({"provider": provider}, (Culprit("provider", provider), *alone)))
    return providers


def _scrapes(ground: Ground) -> list[Target]:
    jobs = {targets.job for targets in local_targets(ground.catalog)}
    scraped = {"servers": SERVERS_JOB in jobs, "gpus": bool(jobs - {SERVERS_JOB})}
    return [Target({"scrape": name}, (Culprit("metrics", name),)) for name in METRICS if scraped[name]]


def _only(what: Culprit) -> Callable[[Ground], list[Target]]:
    return lambda ground: [Target({}, (what,))]


def _fixed(**settings: Any) -> Settings:
    return lambda source, ground, target: settings


def _share(least: float, most: float, **settings: Any) -> Settings:
    return lambda source, ground, target: {"share": _between(source, least, most), **settings}


def _between(source: random.Random, least: float, most: float) -> float:
    return round(source.uniform(least, most), 3)


def _errors(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    return {"share": _between(source, 0.15, 0.6), "status_codes": [source.choice((500, 502, 503))]}


def _slower(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    added = _between(source, 0.5, 1.2)
    return {"p50_seconds": added, "p95_seconds": round(added * 1.4, 3)}


def _dripping(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    return {"first_token_seconds": _between(source, 0.8, 2.0), "piece_seconds": _between(source, 0.05, 0.2)}


def _elsewhere(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    return {"region": target.at[1]}


def _worse(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    usual = ground.catalog.aliases[target.labels["alias"]].eval_baseline or 0.9
    return {"score": round(usual * source.uniform(0.7, 0.92), 3)}


def _overload(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    return {"calls_per_second": round(ground.overload(target.labels["alias"]), 1)}


def _quota(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    """A third above the quota, in short calls: a quota counts them, not their price."""
    usual = ground.tenant_calls[target.labels["tenant"], target.at[0]]
    rate = 1.3 * ground.quota_calls_per_10s / 10 - usual
    return {"calls_per_second": round(rate, 1), "prompt_tokens": 4, "max_tokens": 4}


def _spending_calls(ground: Ground, target: Target) -> float:
    """Calls per second of a tenant that spends: few for a quota."""
    usual = ground.tenant_calls[target.labels["tenant"], target.at[0]]
    return min(max(12.0, usual), 0.05 * ground.quota_calls_per_10s)


def _spend(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    """Few calls for a quota, and long ones."""
    rate = _spending_calls(ground, target)
    return {"calls_per_second": round(rate, 1), "prompt_tokens": source.randrange(*_LONG_PROMPTS)}


def _length(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    return {"factor": source.choice((_between(source, 0.3, 0.5), _between(source, 1.8, 3.0)))}


def _dearer(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    return {"factor": _between(source, 4, 20)}


def _modes(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    return {"mode": source.choice(("refused", "error"))}


def _outage(source: random.Random, ground: Ground, target: Target) -> Mapping[str, Any]:
    return {"mode": source.choice(("refused", "reset"))}


_GATEWAY, _AUDIT = _only(Culprit("gateway")), _only(Culprit("audit log"))

RECIPES: tuple[Recipe, ...] = (
    Recipe("outage", Kind.UNREACHABLE, _places_or_servers, _outage),
    Recipe("blackhole", Kind.UNREACHABLE, _places, _fixed()),
    Recipe("truncated-stream", Kind.CUT_OFF, _places, _share(0.6, 1.0)),
    Recipe("errors", Kind.ERRORS, _places, _errors),
    Recipe("throttle", Kind.THROTTLED, _places, _share(0.08, 0.5)),
    Recipe("unclassified", Kind.UNCLASSIFIED, _places, _share(0.08, 0.4)),
    Recipe("malformed", Kind.BAD_ANSWERS, _places, _share(0.08, 0.4)),
    Recipe("latency", Kind.SLOW, _places, _slower),
    Recipe("slow-stream", Kind.SLOW_STREAMS, _places, _dripping),
    Recipe("wrong-region", Kind.WRONG_REGION, _out_of_zone, _elsewhere),
    Recipe("refusal-drift", Kind.REFUSALS, _places_of_aliases, _share(0.1, 0.4)),
    Recipe("output-length-drift", Kind.ANSWER_LENGTH, _places_of_aliases, _length),
    Recipe("eval-drift", Kind.EVAL_SCORE, _aliases, _worse),
    Recipe("gpu-saturation", Kind.OVERLOADED, _local_aliases, _overload),
    Recipe("queue-build-up", Kind.OVERLOADED, _local_aliases, _overload),
    Recipe("quota-exhaustion", Kind.QUOTA, _cloud_callers, _quota),
    Recipe("cost-runaway", Kind.SPEND, _spenders, _spend),
    Recipe("price-change", Kind.PRICES, _priced_providers, _dearer),
    Recipe("gateway-down", Kind.GATEWAY_DOWN, _GATEWAY, _fixed()),
    Recipe("replica-down", Kind.REPLICA_MISSING, _GATEWAY, _fixed()),
    Recipe("audit-silence", Kind.AUDIT, _AUDIT, _fixed()),
    Recipe("audit-loss", Kind.AUDIT, _AUDIT, _share(0.05, 0.4)),
    Recipe("scrape-failure", Kind.UNSCRAPED, _scrapes, _modes),
)
