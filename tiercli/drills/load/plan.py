"""What Locust is told: the mix, the shape, where to send it, where to write what it saw. One JSON file.

The locustfile reads it with load_plan_file and nothing else of tiercli, so this module imports little.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tiercli.catalog.model import Catalog
from tiercli.catalog.validation import unknown_name
from tiercli.drills.load.shape import build_shape
from tiercli.drills.spec.model import Load
from tiercli.errors import Location, Problem
from tiercli.sandbox.providers.answers import count_tokens
from tiercli.sandbox.usual_traffic import Traffic

WORD = "word "  # what prompts are made of: drills/locustfile.py repeats it


@dataclass(frozen=True, slots=True)
class MixPart:
    """One kind of call, and its share of all, 0 to 1."""

    alias: str
    tenant: str
    feature: str
    share: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place that a call can go to directly: its base URL, the API that it speaks, its own name for the model."""

    url: str
    wire: str
    model: str


@dataclass(frozen=True, slots=True)
class LoadWay:
    """How calls reach what answers them: a gateway at `base_url`, which knows aliases; or `endpoints` by alias, where there is none.

    `keys`: header values by tenant, and of everybody else under ""; they are secrets and stand in no file. `ca_file`: what
    certificates are checked by, in place of the system's authorities.
    """

    base_url: str
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A whole load. `points` are a LoadShape's; `windows_file` is where Locust writes a line for every half second; `endpoints` and
    `ca_file` are a LoadWay's."""

    base_url: str
    windows_file: str
    points: tuple[tuple[float, float], ...]
    mix: tuple[MixPart, ...]
    users: int
    stream_share: float
    repeat_share: float
    prompt_tokens: int
    max_tokens: int
    seed: int
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    ca_file: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


def build_load_plan(
    load: Load, catalog: Catalog, *, way: LoadWay, windows_file: Path, factor: float, seed: int = 1
) -> LoadPlan:
    """The plan of a drill's load on a catalog that check_mix found sound."""
    return LoadPlan(
        base_url=way.base_url,
        windows_file=str(windows_file),
        points=build_shape(load, factor).points,
        mix=tuple(build_mix(load, catalog)),
        users=load.users,
        stream_share=load.stream_share,
        repeat_share=load.repeat_share,
        prompt_tokens=load.prompt_tokens,
        max_tokens=load.max_tokens,
        seed=seed,
        endpoints=way.endpoints,
        ca_file=way.ca_file,
        keys=way.keys,
    )


def build_mix(load: Load, catalog: Catalog) -> list[MixPart]:
    """Every (alias, tenant, feature) that the catalog allows and the weights select; shares add up to 1.

    Aliases keep their weights whatever number of tenants may call them.
    """
    mix = load.mix
    by_alias: dict[str, list[tuple[str, str, float]]] = {}
    for tenant_name, tenant in catalog.tenants.items():
        for alias in catalog.tenant_aliases(tenant):
            for feature in tenant.features:
                weight = _weight(mix.tenants, tenant_name) * _weight(mix.features, feature)
                if weight and _weight(mix.aliases, alias):
                    by_alias.setdefault(alias, []).append((tenant_name, feature, weight))
    whole = sum(_weight(mix.aliases, alias) for alias in by_alias)
    parts = []
    for alias, callers in by_alias.items():
        within = sum(weight for _, _, weight in callers)
        share = _weight(mix.aliases, alias) / whole
        parts += [MixPart(alias, tenant, feature, share * weight / within) for tenant, feature, weight in callers]
    return parts


def usual_traffic(load: Load, catalog: Catalog) -> Traffic:
    """What a load is before its shape changes it: the calls per second at its start, as the simulated models count
    their tokens."""
    rate = load.arrivals_per_second
    return Traffic(
        {(part.alias, part.tenant, part.feature): rate * part.share for part in build_mix(load, catalog)},
        count_tokens(WORD * load.prompt_tokens),
        load.max_tokens,
    )


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
                said = f"nobody in the mix may call alias {alias!r}"
                problems.append(
                    Problem(
                        locate(("load", "mix", "aliases", alias)), said, "an alias that a tenant of the mix may call"
                    )
                )
        if not called:
            problems.append(
                Problem(locate(("load", "mix")), "the mix leaves no call", "weights that leave at least one")
            )
    return problems


def write_load_plan(plan: LoadPlan, path: Path) -> None:
    """Write the plan where Locust reads it; its keys go another way."""
    written = dataclasses.asdict(dataclasses.replace(plan, keys={}))
    path.write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")


def _weight(weights: dict[str, float] | None, name: str) -> float:
    return 1.0 if weights is None else weights.get(name, 0.0)
