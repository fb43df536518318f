"""What a real part of a sandbox is: how it is found, what of an estate it can stand for, and the processes that it then is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tiercli.catalog.model import Catalog
from tiercli.errors import ToolMissing
from tiercli.sandbox.plan import EstatePlan
from tiercli.sidecar.supervisor import ProcessSpec


@dataclass(frozen=True, slots=True)
class RealProcess:
    """A process in place of a simulated one, the URL that answers once it is ready, and how long that may take."""

    spec: ProcessSpec
    ready_url: str
    ready_within_s: float


class RealPart(Protocol):
    """One kind of program. `name`: as `--real` names it; `binding`: the source that it exposes; `kind`: what it stands for;
    `metrics_path`: where it exposes it."""

    name: str
    binding: str
    kind: Literal["gateway", "servers"]
    metrics_path: str

    def version(self) -> str:
        """Its version. Raises ToolMissing, with how to get it, where it is not installed."""

    def problems(self, catalog: Catalog) -> Iterator[str]:
        """Why it cannot stand for what `catalog` names, each as a sentence."""

    def processes(self, plan: EstatePlan) -> Mapping[str, RealProcess]:
        """What to start, by what it stands for: the key of an endpoint, or the name of a gateway's instance. Its files are written
        into the plan's folder. Raises ToolMissing, OSError."""


def find_program(name: str, variable: str, how_to_get: str) -> Path:
    """A program by its environment variable, else on PATH. Raises ToolMissing."""
    named = os.environ.get(variable)
    found = shutil.which(named or name)
    if found is None:
        what = f"{named}, named by {variable}, is no program" if named else f"not installed: {name}"
        raise ToolMissing(what, hint=how_to_get)
    return Path(found).absolute()
