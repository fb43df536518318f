"""An alarm: one file of templates/alerts/, rendered for a catalog and a timing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field, PrivateAttr, field_validator

from tiercli.catalog.field_types import Duration, Model
from tiercli.signals.boards import Board
from tiercli.signals.rule import Rule, recording_rule

AlarmSeverity = Literal["page", "notify", "trend", "heartbeat"]


class Threshold(Model):
    """One number of an alarm that a catalog can change, to `at_least` or more. `bounds_quantile`: it is compared with a
    quantile, so it must be below a histogram's last bucket."""

    default: Annotated[float, Field(ge=0)]
    unit: str
    meaning: str
    at_least: Annotated[float, Field(ge=0)] = 0.0
    bounds_quantile: bool = False


class PanelLink(Model):
    """The panel that shows the alarm: a dashboard's name and a panel's title."""

    dashboard: str
    panel: str
    _id: int = PrivateAttr(default=0)
    _variables: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def id(self) -> int:
        """The panel's id on its board."""
        return self._id

    @property
    def variables(self) -> frozenset[str]:
        """The variables of its board, which a link can set."""
        return self._variables

    def found_in(self, boards: Mapping[str, Board]) -> bool:
        """Take the panel's id and the variables from its board; whether there is such a panel."""
        board = boards.get(self.dashboard)
        ids = board.panel_ids() if board is not None else {}
        self._id = ids.get(self.panel, 0)
        self._variables = frozenset(variable.name for variable in board.variables) if board is not None else frozenset()
        return self.panel in ids


class Inhibits(Model):
    """What Alertmanager inhibits while an alert of this alarm that has the labels `when` fires: alarms by name, or by the source
    of their signals. An empty value: the alert has no such label."""

    when: dict[str, str] = {}
    alarms: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()


class Watch(Model):
    """The recorded series that a drill's report draws for the alarm."""

    unit: str
    signal: str
    baseline: str | None = None
    threshold: str | None = None


# What the unit tests of an alarm must prove, where it applies: it fires past its threshold, not at or below it, and not
# before `for`; it fires for the right labels only; without a baseline it does what its file states; without traffic, after a
# counter's reset and over a gap in scraping it neither fires wrongly nor stays silent; it sees a counter that starts to exist
# with its first event.
Proof = Literal["fires", "threshold", "duration", "neighbours", "history", "traffic", "reset", "gap", "birth"]
PROOFS: tuple[Proof, ...] = get_args(Proof)


class CaseSeries(Model):
    """One input series of a unit test: `value` at every evaluation, or until the case's change, and from then on `then`.
    A number, or NaN."""

    series: str
    value: float
    then: float | None = None

    @field_validator("value", "then", mode="before")
    @classmethod
    def _nan(cls, value: object) -> object:
        return math.nan if value == "NaN" else value


class CaseAlert(Model):
    """An alert that a unit test expects: identity labels, and the value that its annotations quote."""

    labels: dict[str, str]
    value: float


class Case(Model):
    """One unit test at the alarm's threshold: the injected series, and the alerts that are expected.

    Times follow from the alarm's own `for` and keep_firing_for, so that a case holds for every catalog. A series with `then`
    changes one evaluation before `for` has passed (`changes: early`) or one after (`late`). `fires` are the alerts once `for`
    has passed, `later` those long after that (the same unless something changed).
    """

    name: str
    proves: Proof
    series: tuple[CaseSeries, ...]
    changes: Literal["early", "late"] = "early"
    fires: tuple[CaseAlert, ...] = ()
    later: tuple[CaseAlert, ...] | None = None

    @property
    def changing(self) -> bool:
        """Whether a series changes while the case runs."""
        return any(series.then is not None for series in self.series)


class CounterSeries(Model):
    """One raw counter or gauge of a counter case. A counter grows by `per_minute`; a gauge stays at `value`."""

    series: str
    per_minute: Annotated[float, Field(ge=0)] | None = None
    value: float | None = None


class CounterCase(Model):
    """A unit test from the raw metrics of the canonical contract through the recording rules to the alert, with an event half
    way: every series restarts from zero (`reset`), is not scraped for two minutes (`gap`), or starts to exist (`birth`)."""

    name: str
    proves: Proof
    event: Literal["reset", "gap", "birth"] | None = None
    series: tuple[CounterSeries, ...]
    fires: tuple[CaseAlert, ...] = ()


class Record(Model):
    """A recording rule as a file writes it: of a series in signals/recorded.py, or of the alarm's own."""

    record: Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
    expr: str
    labels: dict[str, str] = {}

    def rule(self) -> Rule:
        """The rule that the file describes."""
        return recording_rule(self.record, self.expr, self.labels)


class RecordFile(Model):
    """A file of templates/recording/. `interval`: that of its group, when it is not the default."""

    group: str
    interval: Duration | None = None
    records: tuple[Record, ...]


class Alarm(Model):
    """One alarm, with configured durations and the thresholds of this catalog."""

    alarm: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$")]
    replaces: bool = Field(default=False, description="it replaces tiercli's own alarm of this name")
    condition: str
    group: Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")]
    severity: AlarmSeverity
    owner: str = ""
    source: str
    identity: tuple[str, ...]
    optional: tuple[str, ...] = Field(
        default=(), description="labels of the identity that some of its alerts do not have"
    )
    sla: str
    action: str
    panel: PanelLink
    fault: str | None = Field(default=None, description="the fault that provokes it; none for a heartbeat")
    thresholds: dict[str, Threshold] = {}
    records: tuple[Record, ...] = Field(
        default=(), description="recording rules that only this alarm needs, in its group"
    )
    expr: str
    for_: Duration = Field(alias="for")
    keep_firing_for: Duration | None = None
    group_wait: Duration | None = Field(default=None, description="instead of Alertmanager's own")
    inhibits: Inhibits | tuple[Inhibits, ...] = ()
    summary: str
    description: str
    watch: Watch
    departure: str
    window: Duration = Field(
        description="the rate window of the expression, which `departure` looks at in its shortest form"
    )
    fills: str | None = Field(
        default=None,
        description="the expression over the raw metrics and the whole window, where that is more than `departure` over `window`: "
        "a guard on what goes wrong",
    )
    runbook: str
    cases: tuple[Case, ...] = Field(min_length=1)
    counters: tuple[CounterCase, ...] = ()
    needless: dict[Proof, str] = Field(default={}, description="proofs that need no case here, each with the reason")

    @property
    def inhibitions(self) -> tuple[Inhibits, ...]:
        """What its alerts inhibit; a file with one entry need not write a list."""
        return (self.inhibits,) if isinstance(self.inhibits, Inhibits) else self.inhibits

    @field_validator("expr", "departure", "fills", "summary", "description")
    @classmethod
    def _on_one_line(cls, value: str | None) -> str | None:
        return " ".join(value.split()) if value is not None else None
