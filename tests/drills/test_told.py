"""Who was told, by Alertmanager's own word: only what was answered well, after the alert was there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.drills.short_drill import short_spec
from tests.drills.synthetic_run import FAULT_AT, LABELS, T0, passing_events
from tiercli.drills.judge.heartbeat import judge_heartbeat
from tiercli.drills.judge.notifications import notifications
from tiercli.drills.judge.verdict import judge
from tiercli.drills.load.plan import Endpoint, LoadWay
from tiercli.drills.record.events import (
    DeliverySeen,
    Event,
    LoadWindow,
    NotificationsSent,
    Notified,
    RunEnded,
    RunStarted,
    Timeline,
)
from tiercli.drills.record.result import Outcome
from tiercli.drills.run.watchers import ErrorShare, error_share

AT = FAULT_AT + 4
PAGER = {"platform-pager": ["pagerduty", "slack"], "dashboards": []}


def run(*events: Event) -> Timeline:
    started = next(event for event in passing_events() if isinstance(event, RunStarted))
    return Timeline((replace(started, told_by="alertmanager", integrations=PAGER), *events))


def seen(state: str, at: float = AT, *receivers: str) -> DeliverySeen:
    wanted = list(receivers or ["platform-pager"])
    return DeliverySeen(at=at, alert="ProviderDown", labels=LABELS, state=state, receivers=wanted)  # type: ignore[arg-type]


def sent(kind: str, at: float, sent: int, failed: int = 0) -> NotificationsSent:
    return NotificationsSent(at=at, integration=kind, sent=sent, failed=failed)


def told(*events: Event) -> list[tuple[str, str, float]]:
    return [(one.receiver, one.status, one.at) for one in notifications(run(*events))]


def test_told_is_who_was_sent_to_by_all_its_integrations() -> None:
    events = (seen("active"), sent("pagerduty", AT + 1, 1), sent("slack", AT + 2, 1), seen("resolved", AT + 9))
    assert told(*events) == [("platform-pager", "firing", AT + 2), ("platform-pager", "resolved", AT + 9)]


@pytest.mark.parametrize(
    "events",
    [
        (sent("pagerduty", AT + 1, 1),),
        (sent("pagerduty", AT + 1, 1), sent("slack", AT + 1, 3, 3)),
        (sent("pagerduty", AT - 5, 1), sent("slack", AT - 5, 1)),
        (sent("webhook", AT + 1, 5),),
        (),
    ],
    ids=["one of two", "every request failed", "before it was there", "another's", "nothing"],
)
def test_who_was_not_sent_to_was_not_told(events: tuple[Event, ...]) -> None:
    assert told(seen("active"), *events) == []
    assert told(seen("suppressed"), sent("pagerduty", AT + 1, 1), sent("slack", AT + 1, 1)) == []
    assert told(seen("active", AT, "dashboards"), sent("slack", AT + 1, 1)) == []


def test_what_is_counted_a_moment_before_the_alert_is_seen_counts() -> None:
    events = (sent("pagerduty", AT - 0.2, 1), sent("slack", AT - 0.2, 1), seen("active"))
    assert told(*events) == [("platform-pager", "firing", AT - 0.2)]


def test_a_retry_that_succeeds_is_told_then() -> None:
    events = (seen("active"), sent("pagerduty", AT + 1, 1), sent("slack", AT + 1, 2, 2), sent("slack", AT + 3, 3, 2))
    assert told(*events) == [("platform-pager", "firing", AT + 3)]


@pytest.mark.parametrize(
    ("gone", "back", "outcome"),
    [(None, None, Outcome.PASSED), (20, 25, Outcome.PASSED), (20, None, Outcome.FAILED), (5, 30, Outcome.FAILED)],
)
def test_by_alertmanagers_word_the_heartbeat_is_there_all_the_time(
    gone: float | None, back: float | None, outcome: Outcome
) -> None:
    beats: list[Event] = [DeliverySeen(at=T0 - 1, alert="Watchdog", labels={}, state="active")]
    if gone is not None:
        beats.append(DeliverySeen(at=T0 + gone, alert="Watchdog", labels={}, state="resolved"))
    if back is not None:
        beats.append(DeliverySeen(at=T0 + back, alert="Watchdog", labels={}, state="active"))
    phases = [event for event in passing_events() if event.KIND == "phase_started"]
    timeline = run(*beats, *phases, RunEnded(at=T0 + 40))
    started = timeline.first(RunStarted)
    assert started is not None
    step = judge_heartbeat(started, timeline)
    assert step is not None
    assert step.outcome is outcome, step.message


def test_a_heartbeat_that_is_silenced_is_not_heard() -> None:
    beats = [
        DeliverySeen(at=T0 - 1, alert="Watchdog", labels={}, state="active"),
        DeliverySeen(at=T0 + 5, alert="Watchdog", labels={}, state="suppressed", silenced_by=["5f3e"]),
    ]
    phases = [event for event in passing_events() if event.KIND == "phase_started"]
    timeline = run(*beats, *phases, RunEnded(at=T0 + 40))
    started = timeline.first(RunStarted)
    assert started is not None
    step = judge_heartbeat(started, timeline)
    assert step is not None
    assert step.outcome is Outcome.FAILED


def test_what_alertmanager_only_counts_is_not_said_to_have_arrived_whole() -> None:
    events = [
        replace(event, told_by="alertmanager", integrations={"platform-pager": ["webhook"]})
        if isinstance(event, RunStarted)
        else event
        for event in passing_events()
        if not isinstance(event, Notified)
    ]
    counted = NotificationsSent(at=FAULT_AT + 4.5, integration="webhook", sent=1, failed=0)
    result = judge(short_spec(), Timeline(tuple(sorted([*events, counted], key=lambda one: one.at))))
    steps = {step.name: step.outcome for step in result.expectations[0].steps}
    assert steps["reached platform-pager"] is Outcome.PASSED
    assert "notification matches the alert" not in steps


@pytest.mark.parametrize(
    ("rate", "failing", "stops"), [(60, 1.0, True), (1, 1.0, True), (1, 0.3, False), (60, 0.3, False)]
)
def test_failures_stop_a_drill_at_any_rate(rate: float, failing: float, stops: bool) -> None:
    """By the half second, for so long as it takes: some seconds of many calls, or some minutes of few."""

    share = ErrorShare(0.5)
    reasons = []
    due = 0.0
    for number in range(200):
        before, due = int(due), due + rate / 2
        ended = int(due) - before
        failed = round(ended * failing) if rate > 1 else ((number * failing) % 1 + failing >= 1 and ended) or 0
        window = LoadWindow(
            at=number / 2, seconds=0.5, started=ended, succeeded=ended - int(failed), failed=int(failed)
        )
        reasons.append(share.exceeded(window))

    assert any(reasons) == stops


def half_second(number: int, failed: int, answered: int = 10) -> LoadWindow:
    return LoadWindow(at=number / 2, seconds=0.5, started=answered, succeeded=answered - failed, failed=failed)


@pytest.mark.parametrize("direct", [True, False])
def test_without_a_gateway_what_failed_before_the_fault_is_not_held_against_the_drill(direct: bool) -> None:
    """Three of ten calls fail at any time; with the fault on six do, and then nine."""
    endpoint = Endpoint("http://127.0.0.1:1", "openai", "llama-3.3-70b")
    way = LoadWay("", {"chat": (endpoint,)}) if direct else LoadWay("http://127.0.0.1:1")
    share = error_share(short_spec(), way)
    assert share.exceeded(half_second(0, 4, 4)) is None  # too few to say anything, and before the steady phase
    share.begin_steady()
    assert not any(share.exceeded(half_second(number, 3)) for number in range(10, 30))
    share.end_steady()
    slightly = [share.exceeded(half_second(number, 6)) for number in range(30, 50)]
    reason = next(filter(None, (share.exceeded(half_second(number, 9)) for number in range(50, 70))))
    if direct:
        assert not any(slightly)
        assert reason.endswith("more than the 50% that the drill permits above the 30% of the steady phase")
    else:
        assert any(slightly)
        assert reason.endswith("more than the 50% that the drill permits")


def test_without_a_gateway_too_few_calls_before_the_fault_are_no_measure() -> None:
    share = error_share(short_spec(), LoadWay("", {"chat": (Endpoint("http://127.0.0.1:1", "openai", "x"),)}))
    share.exceeded(half_second(0, 10))
    share.end_steady()
    assert any(share.exceeded(half_second(number, 6)) for number in range(1, 20))
