"""What Prometheus answered to a dashboard's queries, and what the dashboard then says, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiercli.dashboards.read.fields import State, worst

Points = tuple[tuple[float, float], ...]
Key = tuple[str, str]  # of a panel that is shown, and a query of it


@dataclass(frozen=True, slots=True)
class Line:
    """One series of an answer: (Unix seconds, number) pairs, oldest first; a single one of an instant query."""

    labels: Mapping[str, str]
    points: Points


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one query: its series, or why there are none."""

    lines: tuple[Line, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """A pending or firing alert, as Prometheus lists it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str
    active_at: float


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that was asked, at `at` (Unix seconds)."""

    at: float
    queries: Mapping[Key, Answer]
    alerts: tuple[FiringAlert, ...] = ()
    alerts_error: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A query to ask: over the range, or only now."""

    key: Key
    expr: str
    instant: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table."""

    text: str
    value: float | None = None
    state: State = State.NONE


@dataclass(frozen=True, slots=True)
class Row:
    """One line, bar, lane, table row or alert of a panel.

    `now` is its last number, `age_s` how long ago that was, `text` the number as Grafana writes it; `baseline` and
    `threshold` are drawn beside it in the same panel; `points` are its recent ones.
    """

    name: str
    labels: Mapping[str, str]
    now: float | None
    text: str
    state: State = State.NONE
    unit: str = ""
    age_s: float = 0.0
    baseline: float | None = None
    baseline_text: str = ""
    threshold: float | None = None
    threshold_text: str = ""
    points: Points = ()
    point_states: tuple[State, ...] = ()
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class PanelReading:
    """What one panel says. `columns` name the cells of a table's rows; `content` is a text panel's; `errors` are those
    of its queries; `notes` say what could not be shown as Grafana would."""

    key: str
    panel_id: int
    title: str
    type: str
    unit: str
    description: str
    section: str
    rows: tuple[Row, ...] = ()
    columns: tuple[str, ...] = ()
    content: str = ""
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    no_value: str = "no data"

    @property
    def state(self) -> State:
        """The worst of its rows and cells."""
        return worst([row.state for row in self.rows] + [cell.state for row in self.rows for cell in row.cells])


@dataclass(frozen=True, slots=True)
class BoardReading:
    """What a whole dashboard says at `at` (Unix seconds) over the `range_s` before. `chosen`: its variables as Grafana
    shows them; `notes`: what is odd about them."""

    uid: str
    title: str
    description: str
    at: float
    range_s: float
    chosen: Mapping[str, str]
    panels: tuple[PanelReading, ...]
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The worst of its panels."""
        return worst([panel.state for panel in self.panels])
