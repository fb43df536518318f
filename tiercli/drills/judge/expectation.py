"""One expected alert against the timeline: quiet before, fired in time, rightly labelled, delivered, resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from tiercli.conventions import SEVERITY_LABEL
from tiercli.drills.judge.detection import filled_at, floor_parts, signals_of, tolerance_s
from tiercli.drills.judge.notifications import judge_payload, notifications
from tiercli.drills.record.events import (
    AlarmFacts,
    AlertSamples,
    AlertSeen,
    DeliverySeen,
    FaultApplied,
    FaultCleared,
    Notified,
    RunStarted,
    Timeline,
)
from tiercli.drills.record.result import Detection, ExpectationResult, Outcome, Step
from tiercli.drills.spec.model import Expectation
from tiercli.durations import parse_duration

# (step's name, when it came, since when it counts, deadline in simulated time, what to say when it never came) → step
_Judge = Callable[[str, float | None, float | None, str, str], Step]


@dataclass(frozen=True, slots=True)
class _Sightings:
    """When the expected alert was what, Unix seconds; None where it never was."""

    fault_at: float | None
    cleared_at: float | None
    pending_at: float | None
    firing_at: float | None
    last_firing_at: float | None
    longest_break_s: float
    firing_early_at: float | None
    pending_early_at: float | None
    alertmanager_at: float | None
    notified: tuple[Notified, ...]
    resolved_at: float | None
    departed_at: float | None
    labels: dict[str, str]
    fired: tuple[dict[str, str], ...]
    since_fault: tuple[AlertSamples, ...]
    suppressed: bool
    silenced: bool
    routed_to: frozenset[str]


def judge_expectation(expected: Expectation, run: RunStarted, timeline: Timeline) -> ExpectationResult:
    """What came of one expectation. Deadlines are simulated time and are divided by the run's factor."""
    saw = _sightings(expected, run, timeline)
    steps: tuple[Step, ...]
    if saw.fault_at is None:
        steps = (Step(name="fault on", outcome=Outcome.INCONCLUSIVE, message="the fault was never on"),)
    else:
        steps = tuple(_steps(expected, saw, run))
    outcomes = [step.outcome for step in steps]
    outcome = next((worst for worst in (Outcome.FAILED, Outcome.INCONCLUSIVE) if worst in outcomes), Outcome.PASSED)
    return ExpectationResult(
        alert=expected.alert,
        labels=dict(expected.labels),
        severity=expected.severity,
        receiver=expected.receiver or "nobody",
        outcome=outcome,
        steps=steps,
        detection=_detection(expected, saw, run, timeline),
    )


def _steps(expected: Expectation, saw: _Sightings, run: RunStarted) -> Iterator[Step]:
    fault_at = saw.fault_at or 0.0

    def judged(name: str, at: float | None, since: float | None, within: str, missing: str) -> Step:
        allowed_s = parse_duration(within) / run.factor
        if at is None or since is None:
            return Step(name=name, outcome=Outcome.FAILED, message=missing)
        took = at - since
        message = f"after {took:.1f} s of {allowed_s:.1f} s allowed ({within} of simulated time)"
        if took <= allowed_s:
            return Step(name=name, outcome=Outcome.PASSED, message=f"{name} {message}")
        return Step(name=name, outcome=Outcome.FAILED, message=f"{name} too late, {message}")

    if saw.firing_early_at is not None:
        message = f"it was firing {fault_at - saw.firing_early_at:.1f} s before the fault"
        yield Step(name="quiet before the fault", outcome=Outcome.FAILED, message=message)
    elif saw.pending_early_at is not None:
        message = (
            f"it was pending {fault_at - saw.pending_early_at:.1f} s before the fault, so the fault is not why it fired"
        )
        yield Step(name="quiet before the fault", outcome=Outcome.INCONCLUSIVE, message=message)
    else:
        yield Step(name="quiet before the fault", outcome=Outcome.PASSED, message="quiet before the fault")
    yield judged("fired", saw.firing_at, fault_at, expected.firing_within, "it never fired")
    if saw.firing_at is None:
        return
    severity = saw.labels.get(SEVERITY_LABEL, "none")
    yield Step(
        name=f"severity {expected.severity}",
        outcome=Outcome.PASSED if severity == expected.severity else Outcome.FAILED,
        message=f"severity is {severity}" + ("" if severity == expected.severity else f", not {expected.severity}"),
    )
    yield from _delivery_steps(expected, saw, run, judged)
    if expected.holds:
        # An evaluation may come late; two that miss are a break.
        held = saw.longest_break_s <= 2.5 * run.evaluation_s
        message = "it held until the fault was over" if held else f"it stopped firing for {saw.longest_break_s:.1f} s"
        yield Step(name="held", outcome=Outcome.PASSED if held else Outcome.FAILED, message=message)
    if expected.resolved_within is None:
        return
    if saw.cleared_at is None:
        yield Step(
            name="resolved", outcome=Outcome.INCONCLUSIVE, message="the fault was not cleared, so nothing could resolve"
        )
        return
    yield judged("resolved", saw.resolved_at, saw.cleared_at, expected.resolved_within, "it did not resolve")


def _delivery_steps(expected: Expectation, saw: _Sightings, run: RunStarted, judged: _Judge) -> Iterator[Step]:
    firing = [event for event in saw.notified if event.status == "firing"]
    reached = sorted({event.receiver for event in firing} | saw.routed_to)
    if expected.receiver is None:
        reached = [receiver for receiver in reached if receiver not in expected.also]
        name = "notifies no receiver"
        message = f"it reached {', '.join(reached)}" if reached else "no receiver was notified"
        yield Step(name=name, outcome=Outcome.FAILED if reached else Outcome.PASSED, message=message)
        return
    at = min((event.at for event in firing if event.receiver == expected.receiver), default=None)
    missing = f"no notification reached {expected.receiver}"
    if at is None and saw.silenced:
        missing += ": a silence holds it back"
    elif at is None and saw.suppressed:
        missing += ": Alertmanager suppressed it"
    elif at is None and saw.alertmanager_at is None:
        missing += ": Alertmanager never had the alert"
    within = expected.notified_within or expected.firing_within
    step = judged("notified", at, saw.fault_at, within, missing)
    message = f"{expected.receiver} {step.message}" if at is not None else step.message
    yield Step(name=f"reached {expected.receiver}", outcome=step.outcome, message=message)
    if at is not None and run.told_by == "webhook":
        yield judge_payload(saw.fired, saw.notified)
    strays = [receiver for receiver in reached if receiver not in (expected.receiver, *expected.also)]
    if strays:
        yield Step(
            name="notified no other receiver", outcome=Outcome.FAILED, message=f"it also reached {', '.join(strays)}"
        )
    else:
        yield Step(name="notified no other receiver", outcome=Outcome.PASSED, message="no other receiver was notified")


def _sightings(expected: Expectation, run: RunStarted, timeline: Timeline) -> _Sightings:
    def ours(alert: str, labels: Mapping[str, str]) -> bool:
        return expected.matches({**labels, "alertname": alert})

    fault_at = min((event.at for event in timeline.of(FaultApplied)), default=None)
    cleared_at = max((event.at for event in timeline.of(FaultCleared)), default=None)
    began = fault_at if fault_at is not None else float("inf")
    samples = [event for event in timeline.of(AlertSamples) if ours(event.alert, event.labels)]
    firing = sorted(at for event in samples if event.state == "firing" for at in event.times if at >= timeline.began)
    pending = sorted(at for event in samples if event.state == "pending" for at in event.times if at >= began)
    deliveries = [event for event in timeline.of(DeliverySeen) if ours(event.alert, event.labels)]
    notified = tuple(event for event in notifications(timeline) if ours(event.alert, event.labels))
    resolutions = [
        event.at
        for event in notified
        if event.status == "resolved" and (expected.receiver is None or event.receiver == expected.receiver)
    ]
    # Where no receiver is notified, Alertmanager's own state is the end of the path.
    if expected.receiver is None:
        resolutions = [event.at for event in deliveries if event.state == "resolved"]
    after_fault = [at for at in firing if at >= began]
    ended = [at for at in resolutions if cleared_at is not None and at >= cleared_at]
    still_firing = bool(ended) and any(at > ended[-1] for at in firing)
    return _Sightings(
        fault_at=fault_at,
        cleared_at=cleared_at,
        pending_at=pending[0] if pending else None,
        firing_at=after_fault[0] if after_fault else None,
        last_firing_at=after_fault[-1] if after_fault else None,
        longest_break_s=_longest_break_s(after_fault, cleared_at),
        firing_early_at=next((at for at in firing if at < began), None) if fault_at is not None else None,
        pending_early_at=_pending_early_at(
            [event for event in timeline.of(AlertSeen) if ours(event.alert, event.labels)], began, run.evaluation_s
        ),
        alertmanager_at=min((event.at for event in deliveries if event.state != "resolved"), default=None),
        notified=notified,
        resolved_at=ended[-1] if ended and not still_firing else None,
        departed_at=_departure(expected, timeline, began),
        labels=next((event.labels for event in samples if event.state == "firing"), {}),
        since_fault=tuple(replace(event, times=[at for at in event.times if at >= began]) for event in samples),
        fired=tuple(event.labels for event in samples if event.state == "firing"),
        suppressed=any(event.state == "suppressed" for event in deliveries),
        silenced=any(event.silenced_by and not event.inhibited_by for event in deliveries),
        routed_to=_routed_to(deliveries, run.integrations),
    )


def _pending_early_at(seen: list[AlertSeen], fault_at: float, evaluation_s: float) -> float | None:
    """Since when the alert that fired after the fault was pending, where that was before it. A fault that is a load begins a
    moment before its first calls are seen."""
    fired = min(
        (event for event in seen if event.state == "firing" and event.at >= fault_at),
        key=lambda event: event.at,
        default=None,
    )
    if fired is None or fired.active_at is None or fired.active_at >= fault_at - max(2 * evaluation_s, 2.0):
        return None
    return fired.active_at


def _routed_to(deliveries: list[DeliverySeen], integrations: Mapping[str, list[str]]) -> frozenset[str]:
    """Every receiver to which Alertmanager routed it while it was active, by the catalog's names where it has one. One that the
    catalog has and that tells nobody is left out; of one that it has not, nobody knows whom it tells."""
    if not integrations:  # a record of earlier days
        return frozenset()
    names = {name for event in deliveries if event.state == "active" for name in event.receivers}
    known = {name if name in integrations else name.rpartition("/")[2] for name in names}
    return frozenset(name for name in known if name and integrations.get(name, [""]))


def _longest_break_s(firing: list[float], cleared_at: float | None) -> float:
    """The longest time between two evaluations at which it fired, before the fault was over; and from the last to then."""
    times = [at for at in firing if cleared_at is None or at <= cleared_at]
    ends = [*times[1:], *([cleared_at] if cleared_at is not None else [])]
    return max((later - earlier for earlier, later in zip(times, ends, strict=False)), default=0.0)


def _departure(expected: Expectation, timeline: Timeline, began: float) -> float | None:
    return min(
        (
            at
            for event in signals_of(expected, timeline, "departure")
            for at, value in event.points
            if at >= began and value > 0
        ),
        default=None,
    )


def _detection(expected: Expectation, saw: _Sightings, run: RunStarted, timeline: Timeline) -> Detection:
    def since_fault(at: float | None) -> float | None:
        return None if at is None or saw.fault_at is None else at - saw.fault_at

    facts = next((event for event in timeline.of(AlarmFacts) if event.alert == expected.alert), None)
    parts: dict[str, float] = {}
    if facts is not None and saw.departed_at is not None and saw.firing_at is not None:
        since = filled_at(expected, timeline, saw.since_fault, run.scrape_s)
        filled_s = None if since is None else since - saw.departed_at
        parts = floor_parts(facts, run.evaluation_s, filled_s)
    notified_at = min(
        (event.at for event in saw.notified if event.status == "firing" and event.receiver == expected.receiver),
        default=None,
    )
    resolved_s = None if saw.resolved_at is None or saw.cleared_at is None else saw.resolved_at - saw.cleared_at
    return Detection(
        departed_s=since_fault(saw.departed_at),
        pending_s=since_fault(saw.pending_at),
        firing_s=since_fault(saw.firing_at),
        alertmanager_s=since_fault(saw.alertmanager_at),
        notified_s=since_fault(notified_at),
        resolved_s=resolved_s,
        floor_s=sum(parts.values()) if parts else None,
        floor_parts=parts,
        tolerance_s=tolerance_s(run.scrape_s, run.evaluation_s) if parts else None,
    )
