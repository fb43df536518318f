"""What is asked of a run, what shows it while it lasts, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tiercli.drills.load.locust import ALONE, Workers
from tiercli.drills.record.events import Event
from tiercli.drills.record.result import Result
from tiercli.drills.sites.estate import EditTree, Estate
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import BackendError, FaultNotReverted
from tiercli.sandbox.stack.binaries import StackBinaries


class View(Protocol):
    """Something that shows a run while it lasts."""

    def show(self, event: Event) -> None:
        """An event happened."""

    def say(self, text: str) -> None:
        """Progress outside the run itself: starting, reading, stopping."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run: the spec, the estate under the drill's factor, and where runs are kept. `played`: the names by the roles of the
    drill that they play. `catalog_sha256` and `rules`: of the catalog's file, and the fingerprint of each alarm's deployed rule. `workers`: of Locust, beside its master."""

    spec: DrillSpec
    estate: Estate
    binaries: StackBinaries | None  # None: those that are found, where a sandbox needs them
    runs: Path
    edit_tree: EditTree | None = None
    workers: Workers = ALONE
    played: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    catalog_sha256: str = ""
    rules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DrillRun:
    """A run that ended: its folder and its verdict; what could not be undone or written, if anything."""

    folder: Path
    result: Result
    error: BackendError | FaultNotReverted | None = None
