"""What a drill saw, in the order it saw it: one JSON object a line, on disk as it happens.

Observation only. Whether the drill passed is decided by verdict.py from these events and the spec, now or years later.
All times are Unix seconds of this machine's clock; durations are real seconds, not simulated time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

AlertState = Literal["pending", "firing", "inactive"]
DeliveryState = Literal["active", "suppressed", "resolved"]


# What tells one alert of an alarm from another, in the order in which people say it.
IDENTITY_LABELS = ("provider", "model", "region", "tenant", "alias", "server", "instance", "gpu", "signal", "subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base of everything that a drill can see. `at` is when, Unix seconds."""

    KIND: ClassVar[str]
    at: float


# Takes an event of a run as it happens.
Observe = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """The first event: what was to be done, and under which clock."""

    KIND: ClassVar[str] = "run_started"
    drill: str
    estate: str
    env: str
    mode: Literal["sandbox", "live"]
    factor: float
    scrape_s: float
    evaluation_s: float
    group_wait_s: float
    group_interval_s: float
    bounds: list[str] = field(default_factory=list)
    spec: dict[str, Any] = field(default_factory=dict)
    shared: bool = False  # other drills ran before in the same sandbox
    # The evidence of notifications: what arrives at a webhook, or what Alertmanager reports as sent, by the receivers' integrations.
    told_by: Literal["webhook", "alertmanager"] = "webhook"
    integrations: dict[str, list[str]] = field(default_factory=dict)
    catalog_sha256: str = ""
    rules: dict[str, str] = field(default_factory=dict)  # by alarm, the fingerprint of its deployed rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification(Event):
    """The verification record: versions of every part, runtime, machine, memory, what limits the result."""

    KIND: ClassVar[str] = "verification"
    facts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmFacts(Event):
    """What the configuration of an expected alarm makes unavoidable; the verdict computes its floor from this.

    `window_s` is the rate window of its expression, `shortest_window_s` the one in which the raw data's departure is seen.
    Configured (compressed) seconds.
    """

    KIND: ClassVar[str] = "alarm_facts"
    alert: str
    identity: list[str]
    for_s: float
    keep_firing_for_s: float
    window_s: float
    shortest_window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(Event):
    """A phase began; it is planned to last `planned_s`."""

    KIND: ClassVar[str] = "phase_started"
    phase: str
    planned_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultApplied(Event):
    """The injector confirmed that the fault is on."""

    KIND: ClassVar[str] = "fault_applied"
    fault: str
    target: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCleared(Event):
    """The injector confirmed that the fault is off."""

    KIND: ClassVar[str] = "fault_cleared"
    fault: str
    target: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadWindow(Event):
    """What Locust did in the `seconds` before `at`. Quantiles are of answers in that window; None without any."""

    KIND: ClassVar[str] = "load"
    seconds: float
    started: int
    succeeded: int
    failed: int
    p50_s: float | None = None
    p95_s: float | None = None
    ttft_p95_s: float | None = None
    in_flight: int = 0
    by_alias: dict[str, int] = field(default_factory=dict)
    workers: int = 0  # Locust's, beside its master; 0 where one process does it all


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost(Event):
    """One of Locust's workers is gone, and the others do its share; `left` of them."""

    KIND: ClassVar[str] = "worker_lost"
    left: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSeen(Event):
    """An alert changed state in Prometheus, as polled while the drill ran."""

    KIND: ClassVar[str] = "alert"
    alert: str
    labels: dict[str, str]
    state: AlertState
    active_at: float | None = None
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySeen(Event):
    """An alert changed state in Alertmanager, as polled while the drill ran."""

    KIND: ClassVar[str] = "delivery"
    alert: str
    labels: dict[str, str]
    state: DeliveryState
    receivers: list[str] = field(default_factory=list)
    inhibited_by: list[str] = field(default_factory=list)
    silenced_by: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(Event):
    """An alert arrived at a receiver: one event an alert in the webhook's payload. `receiver`: where it arrived; `named`: for whom
    the payload says that it is."""

    KIND: ClassVar[str] = "notified"
    receiver: str
    status: Literal["firing", "resolved"]
    alert: str
    labels: dict[str, str]
    annotations: dict[str, str] = field(default_factory=dict)
    group_key: str = ""
    group_labels: dict[str, str] = field(default_factory=dict)
    named: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationsSent(Event):
    """Alertmanager's own count of what an integration has sent changed: the numbers sent and failed since the run began."""

    KIND: ClassVar[str] = "notifications_sent"
    integration: str
    sent: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSamples(Event):
    """Prometheus' own record of an alert's state after the run: the evaluations at which it was pending or firing."""

    KIND: ClassVar[str] = "alert_samples"
    alert: str
    labels: dict[str, str]
    state: Literal["pending", "firing"]
    times: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSamples(Event):
    """Samples of one series that the report draws or the verdict measures, read from Prometheus after the run.

    `role`: signal (what the alarm watches), threshold, baseline; departure (a sample wherever the raw data has departed,
    over the shortest window), filled (the same over the alarm's own window).
    """

    KIND: ClassVar[str] = "signal_samples"
    alert: str
    role: Literal["signal", "threshold", "baseline", "departure", "filled"]
    expr: str
    labels: dict[str, str]
    unit: str
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelSeen(Event):
    """The answer of a dashboard panel's own query while its fault was on."""

    KIND: ClassVar[str] = "panel"
    dashboard: str
    panel: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendLost(Event):
    """A part of the environment died or stopped answering: nothing after this proves anything."""

    KIND: ClassVar[str] = "backend_lost"
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsound(Event):
    """Something about the environment makes what was seen no proof: a clock that is off, a restart, samples that are missing."""

    KIND: ClassVar[str] = "unsound"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Starved(Event):
    """A target of a sandbox did not answer scrapes, though nothing was wrong with it: the machine had no time for it. That is no doubt
    of what did happen; but what should have happened and did not, or the other way round, may be for that."""

    KIND: ClassVar[str] = "starved"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendBound(Event):
    """What the load cost at most, US dollars by the price book, and where the drill would have stopped."""

    KIND: ClassVar[str] = "spend_bound"
    usd: float
    cap_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted(Event):
    """An abort condition of the spec was met; the faults were cleared."""

    KIND: ClassVar[str] = "aborted"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(Event):
    """Ctrl-C or SIGTERM."""

    KIND: ClassVar[str] = "interrupted"
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    """The last event of a run that ended by itself."""

    KIND: ClassVar[str] = "run_ended"


EVENT_TYPES: Mapping[str, type[Event]] = {
    event.KIND: event
    for event in (
        RunStarted,
        Verification,
        AlarmFacts,
        PhaseStarted,
        FaultApplied,
        FaultCleared,
        LoadWindow,
        WorkerLost,
        AlertSeen,
        DeliverySeen,
        Notified,
        NotificationsSent,
        AlertSamples,
        SignalSamples,
        PanelSeen,
        BackendLost,
        Unsound,
        SpendBound,
        Aborted,
        Interrupted,
        RunEnded,
    )
}

_E = TypeVar("_E", bound=Event)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The events of one run, oldest first."""

    events: tuple[Event, ...]

    def of(self, kind: type[_E]) -> Iterator[_E]:
        """The events of one kind, oldest first."""
        return (event for event in self.events if isinstance(event, kind))

    @property
    def began(self) -> float:
        """When the first phase began, Unix seconds; before it is warm-up, which nothing is judged by."""
        phase = self.first(PhaseStarted)
        return phase.at if phase is not None else float("inf")

    def first(self, kind: type[_E]) -> _E | None:
        """The first event of a kind, or None."""
        return next(self.of(kind), None)
