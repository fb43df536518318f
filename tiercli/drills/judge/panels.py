"""What the panels of a drill's evidence showed while its fault was on, beside what they showed before: a row stands out by changing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tiercli.drills.record.events import FaultApplied, PanelSeen, Timeline
from tiercli.drills.record.result import Outcome, Step
from tiercli.drills.spec.model import DrillSpec, Evidence

# A row has changed where its value differs from the one before by this share of the larger of both.
_CHANGED = 0.25


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One row of a panel with the fault on; `before`: its value before the fault, None where there was no such row."""

    labels: Mapping[str, str]
    value: str
    unit: str
    before: str | None

    @property
    def shown(self) -> tuple[str, str]:
        """Its value, and the one before the fault, as they are shown."""
        unit = " s" if self.unit == "s" else ""
        return f"{self.value}{unit}", "nothing" if self.before is None else f"{self.before}{unit}"

    @property
    def changed(self) -> bool:
        """Whether the fault can be seen in it."""
        if self.before is None:
            return True
        try:
            now, then = float(self.value), float(self.before)
        except ValueError:
            return self.value != self.before
        return abs(now - then) > _CHANGED * max(abs(now), abs(then))


@dataclass(frozen=True, slots=True)
class PanelRead:
    """A panel as it was read with the fault on; `compared`: whether it was read before the fault too."""

    dashboard: str
    panel: str
    rows: tuple[PanelRow, ...]
    compared: bool


def panels_read(timeline: Timeline) -> Iterator[PanelRead]:
    """Every panel that was read with the fault on, in the order of reading."""
    fault = timeline.first(FaultApplied)
    earlier: dict[tuple[str, str], PanelSeen] = {}
    for seen in timeline.of(PanelSeen):
        if fault is None or seen.at < fault.at:
            earlier[seen.dashboard, seen.panel] = seen
            continue
        before = earlier.get((seen.dashboard, seen.panel))
        values = {_identity(row): str(row.get("value", "")) for row in before.rows} if before else {}
        rows = tuple(
            PanelRow(row.get("labels", {}), str(row.get("value", "")), row.get("unit", ""), values.get(_identity(row)))
            for row in seen.rows
        )
        yield PanelRead(seen.dashboard, seen.panel, rows, before is not None)


def judge_panels(spec: DrillSpec, timeline: Timeline) -> tuple[Step, ...]:
    """A step for each panel that the drill names as evidence: whether its row stands out while the fault is on."""
    read = {(panel.dashboard, panel.panel): panel for panel in panels_read(timeline)}
    return tuple(_judge(wanted, read.get((wanted.dashboard, wanted.panel))) for wanted in spec.evidence)


def _judge(wanted: Evidence, panel: PanelRead | None) -> Step:
    place, who = f"panel {wanted.dashboard}/{wanted.panel}", f" {_braces(wanted.row)}" if wanted.row else ""
    name = f"{place} shows it"
    if panel is None:
        return Step(name=name, outcome=Outcome.INCONCLUSIVE, message=f"{place} was not read")
    rows = [row for row in panel.rows if wanted.row.items() <= row.labels.items()]
    if not rows:
        return Step(name=name, outcome=Outcome.FAILED, message=f"{place} has no row{who} while the fault is on")
    if not panel.compared:
        return Step(name=name, outcome=Outcome.INCONCLUSIVE, message=f"{place} was not read before the fault")
    changed = next((row for row in rows if row.changed), None)
    if changed is None:
        now, then = rows[0].shown
        message = f"{place} shows {now}{who} while the fault is on, and {then} before it"
        return Step(name=name, outcome=Outcome.FAILED, message=message)
    now, then = changed.shown
    message = f"{wanted.panel}{who}: {then} before the fault, {now} with it"
    return Step(name=name, outcome=Outcome.PASSED, message=message)


def _identity(row: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return str(row.get("expr", "")), tuple(sorted(row.get("labels", {}).items()))


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) + "}"
