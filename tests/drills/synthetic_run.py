"""Timelines of runs that never were: what a verdict is tested on, with a clock of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.drills.short_drill import short_spec
from tiercli.drills.record.events import (
    AlarmFacts,
    AlertSamples,
    DeliverySeen,
    Event,
    FaultApplied,
    FaultCleared,
    LoadWindow,
    Notified,
    PhaseStarted,
    RunEnded,
    RunStarted,
    SignalSamples,
    Timeline,
    Verification,
)
from tiercli.drills.spec.model import DrillSpec

T0 = 1_800_000_000.0
FAULT_AT, CLEAR_AT, END_AT = T0 + 10, T0 + 18, T0 + 40
WHO = {"provider": "anthropic", "region": "ap-south-1"}
LABELS = {"alertname": "ProviderDown", "severity": "page", "estate": "e", "env": "v", **WHO}
TARGET = {"provider": "anthropic", "region": "ap-south-1"}


def spec() -> DrillSpec:
    """The spec that the synthetic run ran."""
    return short_spec()


def times(begin: float, end: float, step: float = 0.25) -> list[float]:
    """Evaluations from `begin` to `end`."""
    return [begin + step * number for number in range(int((end - begin) / step) + 1)]


def passing_events() -> list[Event]:
    """A run in which everything went as it should."""
    load = [
        LoadWindow(at=T0 + 0.5 * number, seconds=0.5, started=30, succeeded=30, failed=0, p50_s=0.4, p95_s=0.7)
        for number in range(1, 80)
    ]
    heartbeat = [
        Notified(at=T0 + second, receiver="heartbeat", status="firing", alert="Watchdog", labels={})
        for second in range(0, 40, 2)
    ]
    return [
        RunStarted(
            at=T0 - 5,
            drill="short-outage",
            estate="e",
            env="v",
            mode="sandbox",
            factor=30,
            scrape_s=0.25,
            evaluation_s=0.25,
            group_wait_s=0.3,
            group_interval_s=2,
        ),
        Verification(at=T0 - 5, facts={"tiercli": "test"}),
        AlarmFacts(
            at=T0 - 5,
            alert="ProviderDown",
            identity=["provider", "region"],
            for_s=2,
            keep_firing_for_s=14,
            window_s=2,
            shortest_window_s=0.5,
        ),
        PhaseStarted(at=T0, phase="steady", planned_s=10),
        PhaseStarted(at=FAULT_AT, phase="fault", planned_s=8),
        FaultApplied(at=FAULT_AT, fault="outage", target=TARGET),
        *load,
        *heartbeat,
        DeliverySeen(
            at=FAULT_AT + 4.2, alert="ProviderDown", labels=LABELS, state="active", receivers=["platform-pager"]
        ),
        Notified(at=FAULT_AT + 4.5, receiver="platform-pager", status="firing", alert="ProviderDown", labels=LABELS),
        FaultCleared(at=CLEAR_AT, fault="outage", target=TARGET),
        PhaseStarted(at=CLEAR_AT, phase="recovery", planned_s=22),
        DeliverySeen(at=END_AT - 4, alert="ProviderDown", labels=LABELS, state="resolved"),
        Notified(at=END_AT - 3, receiver="platform-pager", status="resolved", alert="ProviderDown", labels=LABELS),
        AlertSamples(
            at=END_AT, alert="ProviderDown", labels=LABELS, state="pending", times=times(FAULT_AT + 2, FAULT_AT + 3.75)
        ),
        AlertSamples(
            at=END_AT, alert="ProviderDown", labels=LABELS, state="firing", times=times(FAULT_AT + 4, END_AT - 5)
        ),
        SignalSamples(
            at=END_AT,
            alert="ProviderDown",
            role="departure",
            expr="departed",
            labels=WHO,
            unit="short",
            points=[(FAULT_AT + 0.4, 1.0), (FAULT_AT + 0.5, 1.0)],
        ),
        SignalSamples(
            at=END_AT,
            alert="ProviderDown",
            role="signal",
            expr="ratio",
            labels=WHO,
            unit="percentunit",
            points=[(at, 0.0 if at < FAULT_AT else 1.0) for at in times(T0, END_AT)],
        ),
        RunEnded(at=END_AT),
    ]


def without(events: Iterable[Event], *kinds: type[Event]) -> list[Event]:
    """The events that are none of `kinds`."""
    return [event for event in events if not isinstance(event, kinds)]


def timeline(events: Iterable[Event], *more: Event) -> Timeline:
    """A timeline of events, in the order of their times."""
    return Timeline(tuple(sorted([*events, *more], key=lambda event: event.at)))


def moved(event: Event, seconds: float) -> Event:
    """The event, later."""
    return replace(event, at=event.at + seconds)
