"""The plan that Locust reads: the mix, the shape, where to send it, where to write what it saw. One JSON file.

The locustfile reads it with load_plan_file and nothing else of tiercli, so this module imports little.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tiercli.catalog.model import Catalog
from tiercli.drills.load.shape import build_shape
from tiercli.drills.spec.mix import MixPart, build_mix
from tiercli.drills.spec.model import Load
from tiercli.sandbox.providers.answers import count_tokens
from tiercli.sandbox.usual_traffic import Traffic

WORD = "word "  # what prompts are made of: drills/locustfile.py repeats it


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


def usual_traffic(load: Load, catalog: Catalog) -> Traffic:
    """What a load is before its shape changes it: the calls per second at its start, as the simulated models count
    their tokens."""
    rate = load.arrivals_per_second
    return Traffic(
        {(part.alias, part.tenant, part.feature): rate * part.share for part in build_mix(load, catalog)},
        count_tokens(WORD * load.prompt_tokens),
        load.max_tokens,
    )


def write_load_plan(plan: LoadPlan, path: Path) -> None:
    """Write the plan where Locust reads it; its keys go another way."""
    written = dataclasses.asdict(dataclasses.replace(plan, keys={}))
    path.write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")
