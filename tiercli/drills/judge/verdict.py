"""The verdict: a pure function of what was asked (spec) and what was seen (timeline). No clock, no network, no file.

Detection is judged on Prometheus, delivery on the receiver. Anything that keeps the drill from proving something
either way makes it inconclusive, never passed and never failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tiercli.conventions import SEVERITY_LABEL, WATCHDOG
from tiercli.drills.judge.expectation import judge_expectation
from tiercli.drills.judge.heartbeat import judge_heartbeat
from tiercli.drills.judge.load import judge_load
from tiercli.drills.judge.notifications import notifications
from tiercli.drills.judge.panels import judge_panels
from tiercli.drills.record.events import (
    Aborted,
    AlertSamples,
    AlertSeen,
    BackendLost,
    DeliverySeen,
    FaultApplied,
    FaultCleared,
    Interrupted,
    Notified,
    RunEnded,
    RunStarted,
    Starved,
    Timeline,
    Unsound,
)
from tiercli.drills.record.result import (
    ExpectationResult,
    Outcome,
    Result,
    Seen,
    Unexpected,
)
from tiercli.drills.spec.model import Allowance, DrillSpec
from tiercli.durations import parse_duration


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
    unexpected, seen, unsure_of = judge_others(spec, timeline)
    heartbeat = judge_heartbeat(run, timeline)
    evidence = (*judge_panels(spec, timeline), *([heartbeat] if heartbeat else []))

    broken = list(_what_stopped(timeline))
    if not load.sufficient:
        broken.append(load.message)
    if timeline.first(RunEnded) is None and not broken:
        broken.append("the timeline stops in the middle of the run")
    for applied in spec.faults:
        if not any(event.fault == applied.fault for event in timeline.of(FaultApplied)) and not broken:
            broken.append(f"the fault {applied.fault} was never on")

    failed = [
        f"{result.alert}: {step.message}"
        for result in expectations
        for step in result.steps
        if step.outcome is Outcome.FAILED
    ]
    failed += [f"unexpected alert {other.alert}{_braces(other.labels)}: {other.message}" for other in unexpected]
    failed += [step.message for step in evidence if step.outcome is Outcome.FAILED]
    unsure = [
        f"{result.alert}: {step.message}"
        for result in expectations
        for step in result.steps
        if step.outcome is Outcome.INCONCLUSIVE
    ]
    unsure += [step.message for step in evidence if step.outcome is Outcome.INCONCLUSIVE]
    unsure += unsure_of
    late = [event.reason for event in timeline.of(Starved)]
    starved = bool(late and failed and not broken)
    if broken:
        outcome, reasons = Outcome.INCONCLUSIVE, broken
    elif starved:
        outcome, reasons = Outcome.INCONCLUSIVE, [*late, *failed]
    elif failed:
        outcome, reasons = Outcome.FAILED, failed
    elif unsure:
        outcome, reasons = Outcome.INCONCLUSIVE, unsure
    else:
        outcome, reasons = Outcome.PASSED, list(_what_was_proven(expectations, seen))
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
        estate=run.estate,
        env=run.env,
        catalog_sha256=run.catalog_sha256,
        rules=run.rules,
        starved=starved,
    )


@dataclass(slots=True)
class _Story:
    """What became of one alert, pieced together from both ends."""

    alert: str
    labels: dict[str, str]
    fired: bool = False
    active: bool = False
    suppressed: bool = False
    silenced: bool = False
    notified: tuple[str, ...] = ()
    left_over: bool = False
    pending_before: bool = False
    anew: bool = False


def judge_others(
    spec: DrillSpec, timeline: Timeline
) -> tuple[tuple[Unexpected, ...], tuple[Seen, ...], tuple[str, ...]]:
    """Alerts that no expectation names: unexpected, or seen because the spec allows them or Alertmanager held them; and what they
    leave unknown, a sentence each."""
    unexpected: list[Unexpected] = []
    seen: list[Seen] = []
    unsure: list[str] = []
    for story in _stories(timeline):
        if story.alert == WATCHDOG or not (story.fired or story.active or story.notified):
            continue
        if any(expected.alert == story.alert and _has(story.labels, expected.labels) for expected in spec.expect):
            continue
        if story.left_over and not story.anew:
            seen.append(Seen(alert=story.alert, labels=story.labels, message="it fired before the drill began"))
            continue
        allowed = _allowance(spec.allow, story)
        if story.pending_before and not story.anew and not (allowed and allowed.state == "any"):
            message = "it was pending before the drill began: whether the drill made it fire is not known"
            unsure.append(f"{story.alert}{_braces(story.labels)}: {message}")
            seen.append(Seen(alert=story.alert, labels=story.labels, message=message))
            continue
        reached = f"it reached {', '.join(story.notified)}" if story.notified else ""
        if allowed is not None and allowed.state == "any":
            seen.append(Seen(alert=story.alert, labels=story.labels, message=reached or "allowed by the drill"))
        elif story.notified:
            message = f"{reached}, though it should have been inhibited" if allowed or story.suppressed else reached
            unexpected.append(Unexpected(alert=story.alert, labels=story.labels, message=message))
        elif story.active:
            unexpected.append(
                Unexpected(
                    alert=story.alert, labels=story.labels, message="it was active in Alertmanager, not suppressed"
                )
            )
        elif story.silenced:
            message = "it fired under a silence: whether a receiver would have been notified is not known"
            unsure.append(f"{story.alert}{_braces(story.labels)}: {message}")
            seen.append(Seen(alert=story.alert, labels=story.labels, message=message))
        elif story.suppressed:
            seen.append(
                Seen(
                    alert=story.alert, labels=story.labels, message="fired and was inhibited; no receiver was notified"
                )
            )
        else:
            unexpected.append(
                Unexpected(alert=story.alert, labels=story.labels, message="it fired and was not seen in Alertmanager")
            )
    return tuple(unexpected), tuple(seen), tuple(unsure)


def _stories(timeline: Timeline) -> Iterator[_Story]:
    stories: dict[tuple[str, tuple[tuple[str, str], ...]], _Story] = {}

    def story(alert: str, labels: Mapping[str, str]) -> _Story:
        known = {name: value for name, value in labels.items() if name not in ("alertname", "alertstate", "__name__")}
        return stories.setdefault((alert, tuple(sorted(known.items()))), _Story(alert, known))

    run = timeline.first(RunStarted)
    told_from = timeline.began if run is not None and run.shared else 0.0
    sandbox = run is None or run.mode == "sandbox"
    others = [event for event in timeline.events if not isinstance(event, Notified)]
    for event in [*others, *notifications(timeline)]:
        if isinstance(event, AlertSeen):
            current = story(event.alert, event.labels)
            current.fired = current.fired or (event.state == "firing" and event.at >= timeline.began)
            if event.active_at is not None and event.state != "inactive":
                before = event.active_at < told_from
                # A trend looks back for hours: in a sandbox, one that was pending is what the drill before left behind.
                left = before and (
                    (event.state == "firing" and event.at < told_from)
                    or (sandbox and event.labels.get(SEVERITY_LABEL) == "trend")
                )
                current.left_over, current.pending_before = (
                    current.left_over or left,
                    current.pending_before or (before and not left),
                )
                current.anew = current.anew or (event.state == "firing" and event.active_at >= told_from)
        elif isinstance(event, AlertSamples):
            if event.state == "firing" and any(at >= timeline.began for at in event.times):
                story(event.alert, event.labels).fired = True
        elif event.at < told_from:
            continue  # a notification of an earlier drill
        elif isinstance(event, DeliverySeen):
            current = story(event.alert, event.labels)
            current.active = current.active or event.state == "active"
            current.suppressed = current.suppressed or event.state == "suppressed"
            current.silenced = current.silenced or bool(event.silenced_by and not event.inhibited_by)
        elif isinstance(event, Notified) and event.status == "firing":
            current = story(event.alert, event.labels)
            if event.receiver not in current.notified:
                current.notified += (event.receiver,)
    yield from stories.values()


def _allowance(allowances: tuple[Allowance, ...], story: _Story) -> Allowance | None:
    return next(
        (
            allowance
            for allowance in allowances
            if allowance.alert == story.alert and _has(story.labels, allowance.labels)
        ),
        None,
    )


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


def _what_was_proven(expectations: tuple[ExpectationResult, ...], seen: tuple[Seen, ...]) -> Iterator[str]:
    for result in expectations:
        resolved = any(step.name == "resolved" for step in result.steps)
        ended = "and resolved" if resolved else "and keeps firing, as the drill allows"
        yield f"{result.alert} fired, reached {result.receiver}, {ended}"
    if not expectations:
        yield (
            "no alarm fired"
            if not seen
            else "no alarm fired that would notify a receiver and that the drill does not allow"
        )


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) + "}" if labels else ""


def deadline_s(text: str, factor: float) -> float:
    """A deadline of the spec in real seconds under this run's factor."""
    return parse_duration(text) / factor
