"""What is read when it counts: panels while the fault is on, Prometheus' own samples after the run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from tiercli.clients.prometheus import PrometheusClient
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, WATCHDOG
from tiercli.dashboards.read.board import parse_board
from tiercli.dashboards.read.interpolation import fill_any
from tiercli.drills.record.events import (
    AlarmFacts,
    AlertSamples,
    FaultApplied,
    Observe,
    PanelSeen,
    SignalSamples,
    Timeline,
)
from tiercli.drills.sites.estate import Estate
from tiercli.drills.spec.model import DrillSpec, Expectation
from tiercli.durations import format_duration, parse_duration
from tiercli.rules.alarm import Alarm
from tiercli.signals.promql import selector

# How finely the departure is looked for, parts of a scrape interval; Prometheus answers at most 11,000 points.
_DEPARTURE_STEPS = 8


def alarm_facts(alarm: Alarm, estate: Estate) -> AlarmFacts:
    """What the floor of an alarm is computed from."""
    return AlarmFacts(
        at=time.time(),
        alert=alarm.alarm,
        identity=list(alarm.identity),
        for_s=parse_duration(alarm.for_),
        keep_firing_for_s=parse_duration(alarm.keep_firing_for or "0s"),
        window_s=parse_duration(alarm.window),
        shortest_window_s=estate.timing.shortest_window_s if parse_duration(alarm.window) else 0.0,
    )


def full_window_departure(alarm: Alarm, estate: Estate) -> str | None:
    """The alarm's `departure` over its own rate window in place of the shortest: when the raw data, all of it scraped
    and no rule evaluated, makes the expression true; `fills` where the alarm says so itself. None for an alarm without a window."""
    if alarm.fills is not None or not parse_duration(alarm.window):
        return alarm.fills
    shortest = format_duration(estate.timing.shortest_window_s)
    whole = alarm.departure.replace(f"offset {shortest}", f"offset {alarm.window}")
    for end in "]:":  # of a range, of a subquery
        whole = whole.replace(f"[{shortest}{end}", f"[{alarm.window}{end}")
    return whole


async def read_panels(spec: DrillSpec, estate: Estate, client: PrometheusClient, observe: Observe) -> None:
    """Ask Prometheus what the panels ask that the drill names as evidence, and note every row of the answers."""
    dashboards = estate.dashboards()
    for name, title in dict.fromkeys((evidence.dashboard, evidence.panel) for evidence in spec.evidence):
        path = f"grafana/dashboards/{name}.json"
        board = parse_board(dashboards.get(path, '{"panels": []}'), path)
        rows = [
            {
                "labels": dict(sample.labels),
                "value": f"{sample.value:.4g}",
                "unit": panel.unit,
                "expr": target.expr,
            }
            for panel in board.panels
            if panel.title == title
            for target in panel.targets
            for sample in await client.query(fill_any(target.expr))
            if not math.isnan(sample.value)
        ]
        observe(PanelSeen(at=time.time(), dashboard=name, panel=title, rows=rows))


async def read_samples(
    spec: DrillSpec, estate: Estate, client: PrometheusClient, timeline: Timeline, observe: Observe
) -> None:
    """After the run: when each alert was pending and firing, by Prometheus' own evaluations, and what the alarms saw."""
    now = time.time()
    begin = timeline.events[0].at if timeline.events else now
    catalog = estate.loaded.catalog
    ours = {ESTATE_LABEL: catalog.estate, ENV_LABEL: catalog.env}
    for series in await client.raw_samples(selector("ALERTS", ours), now - begin + 5, now):
        labels = {key: value for key, value in series.labels.items() if key not in ("__name__", "alertstate")}
        if labels.get("alertname") != WATCHDOG:
            observe(
                AlertSamples(
                    at=now,
                    alert=labels.get("alertname", ""),
                    labels=labels,
                    state="firing" if series.labels["alertstate"] == "firing" else "pending",
                    times=[at for at, _ in series.points],
                )
            )
    alarms = {alarm.alarm: alarm for alarm in estate.alarms}
    fault_at = min((event.at for event in timeline.of(FaultApplied)), default=None)
    for expected in spec.expect:
        if expected.alert in alarms:
            for event in await _signals(alarms[expected.alert], expected, estate, client, begin, now, fault_at):
                observe(event)


async def _signals(
    alarm: Alarm,
    expected: Expectation,
    estate: Estate,
    client: PrometheusClient,
    begin: float,
    now: float,
    fault_at: float | None,
) -> list[SignalSamples]:
    timing = estate.timing
    wanted = [
        ("signal", alarm.watch.signal, begin, timing.evaluation_s),
        ("threshold", alarm.watch.threshold, begin, timing.evaluation_s),
        ("baseline", alarm.watch.baseline, begin, timing.evaluation_s),
    ]
    if fault_at is not None:
        wanted += [
            ("departure", alarm.departure, fault_at, timing.scrape_s / _DEPARTURE_STEPS),
            ("filled", full_window_departure(alarm, estate), fault_at, timing.scrape_s / _DEPARTURE_STEPS),
        ]
    events = []
    for role, expr, since, step_s in wanted:
        if expr is None:
            continue
        for series in await client.query_range(expr, since, now, max(step_s, (now - since) / 10_000)):
            if _shown(series.labels, expected):
                points = [(at, value) for at, value in series.points if not math.isnan(value)]
                # A departure that compares with zero says 0; what counts is that it is there.
                points = [(at, 1.0) for at, _ in points] if role in ("departure", "filled") else points
                events.append(
                    SignalSamples(
                        at=now,
                        alert=alarm.alarm,
                        role=role,  # type: ignore[arg-type]
                        expr=expr,
                        labels=_identity(series.labels, alarm.identity),
                        unit=alarm.watch.unit,
                        points=points,
                    )
                )
    return events


def _shown(labels: Mapping[str, str], expected: Expectation) -> bool:
    return all(labels.get(key) in (None, value) for key, value in expected.labels.items())


def _identity(labels: Mapping[str, str], identity: tuple[str, ...]) -> dict[str, str]:
    return {key: labels[key] for key in identity if key in labels}
