"""From a timeline to the figure of its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tiercli.conventions import WATCHDOG
from tiercli.drills.judge.notifications import notifications
from tiercli.drills.record.events import (
    IDENTITY_LABELS,
    AlertSamples,
    DeliverySeen,
    FaultApplied,
    FaultCleared,
    LoadWindow,
    Notified,
    PhaseStarted,
    RunStarted,
    SignalSamples,
    Timeline,
)
from tiercli.drills.record.result import Result
from tiercli.drills.report.svg import Bar, Figure, Lane, Line, Mark, Track

_ROLE_STYLE = {"signal": "signal", "threshold": "threshold", "baseline": "baseline"}


def build_figure(result: Result, timeline: Timeline) -> Figure | None:
    """The figure, or None for a run that ended before its first phase."""
    phases = list(timeline.of(PhaseStarted))
    if not phases:
        return None
    begin = phases[0].at
    busy = [event.at for kind in (LoadWindow, Notified, DeliverySeen) for event in timeline.of(kind)]
    end = max([*busy, begin + 1])
    faults = tuple(_faults(timeline, end))
    starts = [phase.at for phase in phases] + [end]
    run = timeline.first(RunStarted)
    step = run.evaluation_s if run else 1.0
    return Figure(
        begin=begin,
        end=end,
        zero=faults[0][0] if faults else begin,
        phases=tuple((phase.at, starts[number + 1], phase.phase) for number, phase in enumerate(phases)),
        faults=faults,
        tracks=(*_load_tracks(timeline), *_signal_tracks(timeline)),
        lanes=tuple(_lanes(result, timeline, step, end)),
    )


def _faults(timeline: Timeline, end: float) -> Iterator[tuple[float, float, str]]:
    cleared = list(timeline.of(FaultCleared))
    for fault in timeline.of(FaultApplied):
        over = next((event.at for event in cleared if event.fault == fault.fault and event.target == fault.target), end)
        yield fault.at, over, f"{fault.fault} on {_labels(fault.target)}"


def _load_tracks(timeline: Timeline) -> Iterator[Track]:
    windows = list(timeline.of(LoadWindow))
    started = [(window.at, window.started / window.seconds) for window in windows if window.seconds]
    failed = [(window.at, window.failed / window.seconds) for window in windows if window.seconds]
    yield Track(
        "Load", "/s", (Line("load", "requests started", started), Line("failed", "failed for the client", failed)), 90
    )
    p95 = [(window.at, window.p95_s) for window in windows if window.p95_s is not None]
    ttft = [(window.at, window.ttft_p95_s) for window in windows if window.ttft_p95_s is not None]
    lines = (Line("signal", "p95 at the client", p95), Line("baseline", "p95 of time to first token", ttft))
    yield Track("Client latency", "s", lines, 90)


def _signal_tracks(timeline: Timeline) -> Iterator[Track]:
    by_alert: dict[tuple[str, str], list[SignalSamples]] = {}
    for event in timeline.of(SignalSamples):
        if event.role in _ROLE_STYLE:
            by_alert.setdefault((event.alert, event.unit), []).append(event)
    for (alert, unit), events in by_alert.items():
        events.sort(key=lambda event: list(_ROLE_STYLE).index(event.role))
        # Where everything is about one thing, it is named once: a legend has a line.
        one_thing = len({tuple(sorted(event.labels.items())) for event in events}) == 1
        lines = tuple(
            Line(
                _ROLE_STYLE[event.role],
                event.role if one_thing and number else f"{event.role} {'/'.join(event.labels.values())}".strip(),
                event.points,
            )
            for number, event in enumerate(events[:6])
        )
        yield Track(alert, unit, lines, 140)


def _lanes(result: Result, timeline: Timeline, step: float, end: float) -> Iterator[Lane]:
    seen: dict[tuple[str, str], dict[str, str]] = {}
    for event in timeline.events:
        if isinstance(event, AlertSamples | DeliverySeen | Notified) and event.alert != WATCHDOG:
            if isinstance(event, AlertSamples) and max(event.times) < timeline.began:
                continue  # warm-up
            seen.setdefault((event.alert, _identity(event.labels)), event.labels)
    expected = [expectation.alert for expectation in result.expectations]
    order = sorted(seen, key=lambda key: (expected.index(key[0]) if key[0] in expected else len(expected), key))
    for alert, identity in order:
        yield Lane(
            alert,
            identity,
            tuple(_bars(timeline, alert, identity, step, end)),
            tuple(_marks(timeline, alert, identity)),
        )


def _bars(timeline: Timeline, alert: str, identity: str, step: float, end: float) -> Iterator[Bar]:
    for event in timeline.of(AlertSamples):
        if event.alert == alert and _identity(event.labels) == identity:
            for begin, over in _stretches([at for at in event.times if at >= timeline.began], step):
                yield Bar(begin, over, event.state, event.state)
    held: float | None = None
    for delivery in timeline.of(DeliverySeen):
        if delivery.alert == alert and _identity(delivery.labels) == identity:
            if delivery.state == "suppressed":
                held = held or delivery.at
            elif held is not None:
                yield Bar(held, delivery.at, "suppressed", "firing, suppressed")
                held = None
    if held is not None:
        yield Bar(held, end, "suppressed", "firing, suppressed")


def _stretches(times: list[float], step: float) -> Iterator[tuple[float, float]]:
    """Samples that follow each other as stretches; the last evaluation holds until the next would have come."""
    begin = last = None
    for at in sorted(times):
        if begin is None or last is None or at - last > 2.5 * step:
            if begin is not None and last is not None:
                yield begin, last + step
            begin = at
        last = at
    if begin is not None and last is not None:
        yield begin, last + step


def _marks(timeline: Timeline, alert: str, identity: str) -> Iterator[Mark]:
    for event in notifications(timeline):
        if event.alert == alert and _identity(event.labels) == identity:
            text = (
                f"{event.receiver} notified"
                if event.status == "firing"
                else f"{event.receiver} notified that it is resolved"
            )
            yield Mark(event.at, "notified" if event.status == "firing" else "resolved", text)


def _identity(labels: Mapping[str, str]) -> str:
    return "/".join(labels[key] for key in IDENTITY_LABELS if key in labels)


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())
