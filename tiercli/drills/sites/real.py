"""Which real programs a sandbox has in place of simulated ones, as `--real` names them, and which drills they leave out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.drills.spec.cast import Cast
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
    """The drill, said not to apply where a fault of it acts in the simulated gateway and the gateway is real."""
    gateway = next((part for part in parts if part.kind == "gateway"), None)
    inside = [use.fault for use in cast.spec.faults if FAULTS_BY_NAME[use.fault].injector == "gateway"]
    if gateway is None or cast.not_applicable is not None or not inside:
        return cast
    return dataclasses.replace(
        cast, not_applicable=f"{inside[0]} acts in the simulated gateway, and the gateway is a real {gateway.name}"
    )
