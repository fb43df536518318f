"""A provider outage as short as its alarm allows, for tests that run whole drills."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.record.events import Event
from tiercli.drills.run.one import run_drill
from tiercli.drills.run.request import DrillRun, RunRequest
from tiercli.drills.sites.estate import EditTree, build_estate
from tiercli.drills.spec.model import DrillSpec
from tiercli.sandbox.stack.binaries import find_stack

SHORT: dict[str, Any] = {
    "name": "short-outage",
    "description": "The primary region refuses every connection, no longer than the alarm needs.",
    "owner": "platform",
    "alarms": ["ProviderDown"],
    "load": {"arrivals_per_second": 60, "mix": {"aliases": {"smart-reasoner": 1}}},
    "phases": {"steady": "1m", "fault": "3m", "recovery": "11m"},
    "faults": [{"fault": "outage", "target": {"provider": "anthropic", "region": "ap-south-1"}}],
    "expect": [
        {
            "alert": "ProviderDown",
            "labels": {"provider": "anthropic", "region": "ap-south-1"},
            "severity": "page",
            "receiver": "platform-pager",
            "firing_within": "3m",
            "notified_within": "4m",
            "resolved_within": "11m",
        }
    ],
}


class Recorder:
    """A view that remembers, and calls back on each event."""

    def __init__(
        self, on_event: Callable[[Event], None] | None = None, on_say: Callable[[str], None] | None = None
    ) -> None:
        self.events: list[Event] = []
        self._on_event, self._on_say = on_event, on_say

    def show(self, event: Event) -> None:
        self.events.append(event)
        if self._on_event is not None:
            self._on_event(event)

    def say(self, text: str) -> None:
        if self._on_say is not None:
            self._on_say(text)


def short_spec(**changes: Any) -> DrillSpec:
    """The short drill with some of its entries changed."""
    return DrillSpec.model_validate(SHORT | changes)


def run_short(
    loaded: LoadedCatalog,
    runs: Path,
    *,
    edit_tree: EditTree | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_say: Callable[[str], None] | None = None,
    templates: tuple[Path, ...] = (),
    **changes: Any,
) -> DrillRun:
    """Run the short drill for real, with `changes` to its spec; again where the machine had no time for it."""
    spec = short_spec(**changes)
    order = RunRequest(spec, build_estate(loaded, 30, templates), find_stack(), runs, edit_tree)
    run = asyncio.run(run_drill(order, Recorder(on_event, on_say)))
    for _ in range(2):
        if run.result.starved:
            run = asyncio.run(run_drill(order, Recorder(on_event, on_say)))
    return run
