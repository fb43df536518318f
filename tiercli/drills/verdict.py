"""The verdict: a pure function of what was asked (spec) and what was seen (timeline). No clock, no network, no file.

Detection is judged on Prometheus, delivery on the receiver. Anything that keeps the drill from proving something
either way makes it inconclusive, never passed and never failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tiercli.conventions import WATCHDOG
from tiercli.drills.expectation import judge_expectation
from tiercli.drills.heartbeat import judge_heartbeat
from tiercli.drills.load_verdict import judge_load
from tiercli.drills.result import (
    ExpectationResult,
    Outcome,
    Result,
    Seen,
    Step,
    Unexpected,
)
from tiercli.drills.spec import Allowance, DrillSpec
from tiercli.drills.timeline import (
    Aborted,
    AlertSamples,
    AlertSeen,
    BackendLost,
    DeliverySeen,
    FaultApplied,
    FaultCleared,
    Interrupted,
    Notified,
    PanelSeen,
    RunEnded,
    RunStarted,
    Timeline,
    Unsound,
)
from tiercli.drills.told import notifications
from tiercli.durations import parse_duration

# Below this share of the planned arrivals a silent alarm proves nothing about the alarm.


def judge(spec: DrillSpec, timeline: Timeline) -> Result:
    """What the run proved. Never raises for a timeline that is incomplete: that is inconclusive."""
    run = timeline.first(RunStarted)
    events = timeline.events
    started_at = events[0].at if events else 0.0
    ended_at = events[-1].at if events else 0.0
    if run is None:
        return Result(
            drill=spec.name,
            outcome=Outcome.INCONCLUSIVE,
            reasons=("the run ended before the drill began", *tuple(_what_stopped(timeline))),
            started_at=started_at,
            ended_at=ended_at,
            factor=spec.factor,
            interrupted=timeline.first(Interrupted) is not None,
        )
    load = judge_load(spec, timeline)
    expectations = tuple(judge_expectation(expected, run, timeline) for expected in spec.expect)
    unexpected, seen = judge_others(spec, timeline)
    heartbeat = judge_heartbeat(run, timeline)
    evidence = (*_judge_evidence(spec, timeline), *([heartbeat] if heartbeat else []))

    broken = list(_what_stopped(timeline))
    if not load.sufficient:
        broken.append(load.said)
    if timeline.first(RunEnded) is None and not broken:
        broken.append("the timeline stops in the middle of the run")
    for applied in spec.faults:
        if not any(event.fault == applied.fault for event in timeline.of(FaultApplied)) and not broken:
            broken.append(f"the fault {applied.fault} was never on")

    failed = [
        f"{result.alert}: {step.said}"
        for result in expectations
        for step in result.steps
        if step.outcome is Outcome.FAILED
    ]
    failed += [f"unexpected alert {other.alert}{_braces(other.labels)}: {other.said}" for other in unexpected]
    failed += [step.said for step in evidence if step.outcome is Outcome.FAILED]
    unsure = [
        f"{result.alert}: {step.said}"
        for result in expectations
        for step in result.steps
        if step.outcome is Outcome.INCONCLUSIVE
    ]
    unsure += [step.said for step in evidence if step.outcome is Outcome.INCONCLUSIVE]
    if broken:
        outcome, reasons = Outcome.INCONCLUSIVE, broken
    elif failed:
        outcome, reasons = Outcome.FAILED, failed
    elif unsure:
        outcome, reasons = Outcome.INCONCLUSIVE, unsure
    else:
        outcome, reasons = Outcome.PASSED, list(_what_was_proven(expectations))
    return Result(
        drill=spec.name,
        outcome=outcome,
        reasons=tuple(reasons),
        started_at=started_at,
        ended_at=ended_at,
        factor=run.factor,
        expectations=expectations,
        unexpected=unexpected,
        seen=seen,
        evidence=evidence,
        load=load,
        interrupted=timeline.first(Interrupted) is not None,
    )


@dataclass(slots=True)
class _Story:
    """What became of one alert, pieced together from both ends."""

    alert: str
    labels: dict[str, str]
    fired: bool = False
    active: bool = False
    suppressed: bool = False
    notified: tuple[str, ...] = ()
    left_over: bool = False
    anew: bool = False


def judge_others(spec: DrillSpec, timeline: Timeline) -> tuple[tuple[Unexpected, ...], tuple[Seen, ...]]:
    """Alerts that no expectation names: unexpected, or seen because the spec allows them or Alertmanager held them."""
    unexpected: list[Unexpected] = []
    seen: list[Seen] = []
    for story in _stories(timeline):
        if story.alert == WATCHDOG or not (story.fired or story.active or story.notified):
            continue
        if any(expected.alert == story.alert and _has(story.labels, expected.labels) for expected in spec.expect):
            continue
        if story.left_over and not story.anew:
            seen.append(Seen(alert=story.alert, labels=story.labels, said="it fired before the drill began"))
            continue
        allowed = _allowance(spec.allow, story)
        reached = f"it reached {', '.join(story.notified)}" if story.notified else ""
        if allowed is not None and allowed.state == "any":
            seen.append(Seen(alert=story.alert, labels=story.labels, said=reached or "allowed by the drill"))
        elif story.notified:
            said = f"{reached}, though it should have been inhibited" if allowed or story.suppressed else reached
            unexpected.append(Unexpected(alert=story.alert, labels=story.labels, said=said))
        elif story.active:
            unexpected.append(
                Unexpected(alert=story.alert, labels=story.labels, said="it was active in Alertmanager, not suppressed")
            )
        elif story.suppressed:
            seen.append(Seen(alert=story.alert, labels=story.labels, said="fired, inhibited, and nobody was told"))
        else:
            unexpected.append(
                Unexpected(alert=story.alert, labels=story.labels, said="it fired and was not seen in Alertmanager")
            )
    return tuple(unexpected), tuple(seen)


def _stories(timeline: Timeline) -> Iterator[_Story]:
    stories: dict[tuple[str, tuple[tuple[str, str], ...]], _Story] = {}

    def story(alert: str, labels: Mapping[str, str]) -> _Story:
        known = {name: value for name, value in labels.items() if name not in ("alertname", "alertstate", "__name__")}
        return stories.setdefault((alert, tuple(sorted(known.items()))), _Story(alert, known))

    run = timeline.first(RunStarted)
    told_from = timeline.began if run is not None and run.shared else 0.0
    others = [event for event in timeline.events if not isinstance(event, Notified)]
    for event in [*others, *notifications(timeline)]:
        if isinstance(event, AlertSeen):
            told = story(event.alert, event.labels)
            told.fired = told.fired or (event.state == "firing" and event.at >= timeline.began)
            if event.active_at is not None and event.state != "inactive":
                told.left_over = told.left_over or event.active_at < told_from
                told.anew = told.anew or (event.state == "firing" and event.active_at >= told_from)
        elif isinstance(event, AlertSamples):
            if event.state == "firing" and any(at >= timeline.began for at in event.times):
                story(event.alert, event.labels).fired = True
        elif event.at < told_from:
            continue  # somebody was told of what another drill did
        elif isinstance(event, DeliverySeen):
            told = story(event.alert, event.labels)
            told.active = told.active or event.state == "active"
            told.suppressed = told.suppressed or event.state == "suppressed"
        elif isinstance(event, Notified) and event.status == "firing":
            told = story(event.alert, event.labels)
            if event.receiver not in told.notified:
                told.notified += (event.receiver,)
    yield from stories.values()


def _allowance(allowances: tuple[Allowance, ...], story: _Story) -> Allowance | None:
    return next((one for one in allowances if one.alert == story.alert and _has(story.labels, one.labels)), None)


def _judge_evidence(spec: DrillSpec, timeline: Timeline) -> tuple[Step, ...]:
    steps = []
    for wanted in spec.evidence:
        name = f"panel {wanted.dashboard}/{wanted.panel} shows it"
        panels = [
            event
            for event in timeline.of(PanelSeen)
            if (event.dashboard, event.panel) == (wanted.dashboard, wanted.panel)
        ]
        rows = [row for panel in panels for row in panel.rows if _has(row.get("labels", {}), wanted.row)]
        if not panels:
            said, outcome = f"panel {wanted.dashboard}/{wanted.panel} was not read", Outcome.INCONCLUSIVE
        elif rows:
            said, outcome = f"{wanted.panel}: {rows[0].get('value', '')} {_braces(wanted.row)}", Outcome.PASSED
        else:
            said = f"panel {wanted.dashboard}/{wanted.panel} has no row {_braces(wanted.row)} while the fault is on"
            outcome = Outcome.FAILED
        steps.append(Step(name=name, outcome=outcome, said=said))
    return tuple(steps)


def _what_stopped(timeline: Timeline) -> Iterator[str]:
    for event in timeline.events:
        if isinstance(event, BackendLost):
            yield f"{event.name} failed during the run: {event.reason}"
        elif isinstance(event, Unsound):
            yield event.reason
        elif isinstance(event, Aborted):
            yield f"the drill aborted: {event.reason}"
        elif isinstance(event, Interrupted):
            yield f"interrupted by {event.signal}"
    applied = [(event.fault, tuple(event.target.items())) for event in timeline.of(FaultApplied)]
    for cleared in timeline.of(FaultCleared):
        key = (cleared.fault, tuple(cleared.target.items()))
        if key in applied:
            applied.remove(key)
    for fault, target in applied:
        yield f"the fault {fault} on {_braces(dict(target))} was never cleared"


def _what_was_proven(expectations: tuple[ExpectationResult, ...]) -> Iterator[str]:
    for result in expectations:
        resolved = any(step.name == "resolved" for step in result.steps)
        ended = "and resolved" if resolved else "and stays, as the drill says"
        yield f"{result.alert} fired, reached {result.receiver}, {ended}"
    if not expectations:
        yield "no alarm fired"


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) + "}" if labels else ""


def deadline_s(text: str, factor: float) -> float:
    """A deadline of the spec in real seconds under this run's factor."""
    return parse_duration(text) / factor
