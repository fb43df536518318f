"""Which real programs a sandbox has in place of simulated ones, as `--real` names them, and which drills they leave out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.drills.spec.cast import Cast
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.sandbox.real_parts import REAL_PARTS
from tiercli.sandbox.real_parts.interface import RealPart

_PLACE = Location("--real")


def real_parts(names: Sequence[str], catalog: Catalog) -> tuple[RealPart, ...]:
    """The parts of these names. Raises InvalidInput for a name that is none, and for whatever of `catalog` a part cannot be;
    ToolMissing for one that is not installed."""
    names = list(dict.fromkeys(names))
    unknown = [unknown_name("real part", name, list(REAL_PARTS), _PLACE) for name in names if name not in REAL_PARTS]
    if unknown:
        raise InvalidInput("--real names what there is not", unknown)
    parts = tuple(REAL_PARTS[name] for name in names)
    problems = [
        Problem(_PLACE, f"{part.name}: {problem}") for part in parts for problem in sorted(set(part.problems(catalog)))
    ]
    if problems:
        raise InvalidInput("a real part does not fit the catalog", problems)
    for part in parts:
        part.version()
    return parts


def left_out_by(cast: Cast, parts: Sequence[RealPart]) -> Cast:
    """The drill, said not to apply where it needs what only the simulated gateway does and the gateway is real."""
    gateway = next((part for part in parts if part.kind == "gateway"), None)
    needed = next(_of_the_simulated_gateway(cast.spec), None)
    if gateway is None or cast.not_applicable is not None or needed is None:
        return cast
    return dataclasses.replace(cast, not_applicable=f"{needed}, and the gateway is a real {gateway.name}")


def _of_the_simulated_gateway(spec: DrillSpec) -> Iterator[str]:
    """What of a drill happens in the simulated gateway, and in no other, each as the beginning of a sentence."""
    for use in spec.faults:
        if FAULTS_BY_NAME[use.fault].injector == "gateway":
            yield f"{use.fault} acts in the simulated gateway"
    if spec.sandbox.tenant_calls_per_10s is not None:
        yield "the quota that it fills is the simulated gateway's"
    if spec.sandbox.cooldown is not None:
        yield "it asks the simulated gateway for a cooldown"
