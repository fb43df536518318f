"""The verdict as a pure function of spec and timeline: passed only when everything came, never when in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from tests.drills.synthetic_run import (
    CLEAR_AT,
    END_AT,
    FAULT_AT,
    LABELS,
    T0,
    passing_events,
    spec,
    timeline,
    times,
    without,
)
from tiercli.drills.judge.verdict import judge
from tiercli.drills.record.events import (
    Aborted,
    AlertSamples,
    AlertSeen,
    BackendLost,
    DeliverySeen,
    Event,
    FaultApplied,
    FaultCleared,
    Interrupted,
    LoadWindow,
    Notified,
    PanelSeen,
    PhaseStarted,
    RunEnded,
    RunStarted,
    Starved,
    Unsound,
)
from tiercli.drills.record.result import Outcome, Result
from tiercli.drills.run.opening import too_early
from tiercli.drills.run.settling import all_resolved
from tiercli.drills.spec.model import Allowance, Evidence

OTHER = {"alertname": "CloudErrorRateHigh", "severity": "notify", "provider": "openai", "region": "ap-south-1"}


def verdict(events: list[Event], *more: Event) -> Result:
    """The verdict on a run of the short drill."""
    return judge(spec(), timeline(events, *more))


def test_a_run_in_which_everything_came_passes() -> None:
    result = verdict(passing_events())
    assert result.outcome is Outcome.PASSED, result.reasons
    assert result.reasons == ("ProviderDown fired, reached platform-pager, and resolved",)


def test_time_to_detect_is_split_into_its_parts_and_set_against_its_floor() -> None:
    detection = verdict(passing_events()).expectations[0].detection
    assert detection.departed_s == pytest.approx(0.4)
    assert detection.pending_s == pytest.approx(2)
    assert detection.firing_s == pytest.approx(4)
    assert detection.alertmanager_s == pytest.approx(4.2)
    assert detection.notified_s == pytest.approx(4.5)
    assert detection.resolved_s == pytest.approx(END_AT - 3 - CLEAR_AT)
    assert detection.floor_parts == {"rate window fills": 1.5, "for, in whole evaluations": 2.0}
    assert detection.above_floor_s == pytest.approx(0.1)
    assert detection.tolerance_s == pytest.approx(0.5)


def drop_firing(events: list[Event]) -> list[Event]:
    return [event for event in events if not (isinstance(event, AlertSamples) and event.state == "firing")]


def late_firing(events: list[Event]) -> list[Event]:
    late = times(FAULT_AT + 7, END_AT - 5)
    return [
        replace(event, times=late) if isinstance(event, AlertSamples) and event.state == "firing" else event
        for event in events
    ]


def wrong_severity(events: list[Event]) -> list[Event]:
    labels = LABELS | {"severity": "notify"}
    return [replace(event, labels=labels) if isinstance(event, AlertSamples) else event for event in events]


def other_receiver(events: list[Event]) -> list[Event]:
    return [replace(event, receiver="platform-channel") if isinstance(event, Notified) else event for event in events]


def early_firing(events: list[Event]) -> list[Event]:
    early = AlertSamples(at=END_AT, alert="ProviderDown", labels=LABELS, state="firing", times=times(T0 + 1, T0 + 3))
    return [*events, early]


def never_resolved(events: list[Event]) -> list[Event]:
    return [event for event in events if not (isinstance(event, Notified) and event.status == "resolved")]


def fires_again(events: list[Event]) -> list[Event]:
    again = AlertSamples(
        at=END_AT, alert="ProviderDown", labels=LABELS, state="firing", times=times(END_AT - 2, END_AT)
    )
    return [*events, again]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_firing, "ProviderDown: it never fired"),
        (late_firing, "ProviderDown: fired too late"),
        (wrong_severity, "ProviderDown: severity is notify, not page"),
        (lambda events: without(events, Notified), "ProviderDown: no notification reached platform-pager"),
        (other_receiver, "ProviderDown: it also reached platform-channel"),
        (early_firing, "ProviderDown: it was firing 9.0 s before the fault"),
        (never_resolved, "ProviderDown: it did not resolve"),
        (fires_again, "ProviderDown: it did not resolve"),
    ],
    ids=[
        "never fired",
        "too late",
        "wrong severity",
        "nobody told",
        "wrong receiver",
        "not quiet before",
        "not resolved",
        "fires again",
    ],
)
def test_what_an_alarm_owes_and_does_not_do_fails_the_drill(
    change: Callable[[list[Event]], list[Event]], said: str
) -> None:
    result = verdict(change(passing_events()))
    assert result.outcome is Outcome.FAILED
    assert any(said in reason for reason in result.reasons), result.reasons


def test_an_alarm_of_another_provider_is_not_the_one_expected() -> None:
    elsewhere = [
        replace(event, labels=LABELS | {"region": "us-east-1"})
        if isinstance(event, AlertSamples | Notified | DeliverySeen)
        else event
        for event in passing_events()
    ]
    result = verdict(elsewhere)
    assert result.outcome is Outcome.FAILED
    assert "ProviderDown: it never fired" in result.reasons
    assert result.unexpected


def fired(state: str = "firing") -> AlertSamples:
    return AlertSamples(at=END_AT, alert="CloudErrorRateHigh", labels=OTHER, state="firing", times=[FAULT_AT + 5])


def seen(state: str) -> DeliverySeen:
    return DeliverySeen(at=FAULT_AT + 5, alert="CloudErrorRateHigh", labels=OTHER, state=state)  # type: ignore[arg-type]


TOLD = Notified(at=FAULT_AT + 6, receiver="platform-channel", status="firing", alert="CloudErrorRateHigh", labels=OTHER)


@pytest.mark.parametrize(
    "more",
    [(fired(), seen("active")), (fired(), seen("suppressed"), TOLD), (TOLD,), (fired(),)],
    ids=["active", "inhibited too late", "delivered", "fired and lost on the way"],
)
def test_an_alert_that_nobody_expects_fails_the_drill(more: tuple[Event, ...]) -> None:
    result = verdict(passing_events(), *more)
    assert result.outcome is Outcome.FAILED
    assert [other.alert for other in result.unexpected] == ["CloudErrorRateHigh"]


def test_an_alert_that_was_held_back_all_the_time_is_recorded_and_passes() -> None:
    result = verdict(passing_events(), fired(), seen("suppressed"))
    assert result.outcome is Outcome.PASSED
    assert [other.alert for other in result.seen] == ["CloudErrorRateHigh"]


def test_an_alert_allowed_only_while_suppressed_fails_once_it_reaches_somebody() -> None:
    allowing = spec().model_copy(update={"allow": (Allowance(alert="CloudErrorRateHigh", state="suppressed"),)})
    assert judge(allowing, timeline(passing_events(), fired(), seen("suppressed"))).outcome is Outcome.PASSED
    assert judge(allowing, timeline(passing_events(), fired(), seen("suppressed"), TOLD)).outcome is Outcome.FAILED


def test_an_alert_allowed_in_any_state_may_reach_its_receiver() -> None:
    allowing = spec().model_copy(update={"allow": (Allowance(alert="CloudErrorRateHigh"),)})
    assert judge(allowing, timeline(passing_events(), fired(), seen("active"), TOLD)).outcome is Outcome.PASSED


def test_warm_up_is_not_judged_but_a_notification_in_it_is() -> None:
    labels = {"alertname": "GatewayDown", "severity": "page"}
    warm = AlertSamples(at=END_AT, alert="GatewayDown", labels=labels, state="firing", times=[T0 - 3])
    assert verdict(passing_events(), warm).outcome is Outcome.PASSED
    told = Notified(at=T0 - 2, receiver="platform-pager", status="firing", alert="GatewayDown", labels=labels)
    assert verdict(passing_events(), warm, told).outcome is Outcome.FAILED
    # In a sandbox that it shares, what came before its first phase was another drill's.
    shared = [replace(event, shared=True) if isinstance(event, RunStarted) else event for event in passing_events()]
    assert verdict(shared, warm, told).outcome is Outcome.PASSED
    again = replace(told, at=T0 + 1)
    assert verdict(shared, again).outcome is Outcome.FAILED


def test_what_the_drill_before_left_behind_is_told_and_not_judged() -> None:
    labels = {"alertname": "Drift", "severity": "trend"}
    seen = AlertSeen(at=T0 + 3, alert="Drift", labels=labels, state="firing", active_at=T0 - 20)
    samples = AlertSamples(at=END_AT, alert="Drift", labels=labels, state="firing", times=[T0 + 3, T0 + 4])
    shared = [replace(event, shared=True) if isinstance(event, RunStarted) else event for event in passing_events()]
    result = verdict(shared, seen, samples)
    assert result.outcome is Outcome.PASSED
    assert [(seen.alert, seen.message) for seen in result.seen] == [("Drift", "it fired before the drill began")]
    # One that began in this drill is this drill's, and so is any in a sandbox of its own.
    anew = replace(seen, active_at=T0 + 1)
    assert verdict(shared, anew, samples).outcome is Outcome.FAILED
    assert verdict(shared, seen, anew, samples).outcome is Outcome.FAILED
    assert verdict(passing_events(), seen, samples).outcome is Outcome.FAILED


def no_load(events: list[Event]) -> list[Event]:
    return without(events, LoadWindow)


def thin_load(events: list[Event]) -> list[Event]:
    return [
        replace(event, started=5) if isinstance(event, LoadWindow) and event.at > FAULT_AT else event
        for event in events
    ]


def load_dies(events: list[Event]) -> list[Event]:
    return [event for event in events if not (isinstance(event, LoadWindow) and event.at > CLEAR_AT + 4)]


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (no_load, (), "no load arrived"),
        (thin_load, (), "the load did not arrive: 10 of 60 requests/s were started in phase fault"),
        (load_dies, (), "the load stopped"),
        (list, (BackendLost(at=END_AT, name="prometheus", reason="gone"),), "prometheus failed during the run: gone"),
        (list, (Aborted(at=END_AT, reason="too slow"),), "the drill aborted: too slow"),
        (list, (Interrupted(at=END_AT, signal="Ctrl-C"),), "interrupted by Ctrl-C"),
        (lambda events: without(events, RunEnded), (), "the timeline stops in the middle"),
        (lambda events: without(events, FaultCleared), (), "was never cleared"),
        (lambda events: without(events, FaultApplied, FaultCleared), (), "the fault outage was never on"),
        (lambda events: without(events, RunStarted), (), "the run ended before the drill began"),
    ],
    ids=[
        "no load",
        "thin load",
        "load dies",
        "server lost",
        "aborted",
        "ctrl-c",
        "cut off",
        "fault left on",
        "no fault",
        "no start",
    ],
)
def test_what_breaks_the_proof_makes_it_inconclusive(
    change: Callable[[list[Event]], list[Event]], more: tuple[Event, ...], said: str
) -> None:
    result = verdict(change(passing_events()), *more)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert any(said in reason for reason in result.reasons), result.reasons


def test_a_broken_environment_is_no_failure_even_when_the_alarm_stayed_silent() -> None:
    lost = BackendLost(at=FAULT_AT + 1, name="prometheus", reason="gone")
    assert verdict(drop_firing(passing_events()), lost).outcome is Outcome.INCONCLUSIVE


def test_an_empty_timeline_is_inconclusive() -> None:
    assert judge(spec(), timeline([])).outcome is Outcome.INCONCLUSIVE


def test_a_quiet_drill_passes_only_in_silence() -> None:
    quiet = spec().model_copy(update={"expect": (), "faults": (), "alarms": ()})
    events = [
        event
        for event in without(passing_events(), AlertSamples, DeliverySeen, FaultApplied, FaultCleared)
        if not (isinstance(event, PhaseStarted) and event.phase != "steady")
        and not (isinstance(event, Notified) and event.alert != "Watchdog")
    ]
    assert judge(quiet, timeline(events)).outcome is Outcome.PASSED
    assert judge(quiet, timeline(events, fired(), seen("active"))).outcome is Outcome.FAILED


def silent_between(begin: float, end: float) -> list[Event]:
    """The passing run, with no heartbeat heard from `begin` to `end`."""
    return [
        event
        for event in passing_events()
        if not (isinstance(event, Notified) and event.alert == "Watchdog" and begin <= event.at <= end)
    ]


@pytest.mark.parametrize(
    ("begin", "end", "silence"),
    [(T0, END_AT, 40.0), (T0 + 13, END_AT, 28.0), (T0, T0 + 11, 12.0), (T0 + 20, T0 + 31, 14.0)],
    ids=["never", "from then on", "at first", "in between"],
)
def test_a_heartbeat_silent_for_longer_than_its_receiver_waits_fails_the_run(
    begin: float, end: float, silence: float
) -> None:
    result = verdict(silent_between(begin, end))
    assert result.outcome is Outcome.FAILED
    assert result.reasons == (
        f"Watchdog was not received for {silence:.1f} s; its receiver raises the alarm after 10.0 s",
    )


def test_a_heartbeat_that_misses_a_few_beats_is_still_heard() -> None:
    result = verdict(silent_between(T0 + 22, T0 + 26))
    assert result.outcome is Outcome.PASSED, result.reasons
    assert result.evidence[-1].message == "Watchdog reached heartbeat after 0.0 s, then at most 8.0 s of 10.0 s apart"


STARVED = Starved(at=END_AT, reason="127.0.0.1:1 did not answer scrapes for 1.2 s")


def test_what_failed_while_the_machine_had_no_time_for_the_estate_proves_nothing() -> None:
    failing = silent_between(T0, END_AT)
    assert verdict(failing).outcome is Outcome.FAILED
    result = verdict(failing, STARVED)
    assert (result.outcome, result.starved) == (Outcome.INCONCLUSIVE, True)
    assert result.reasons[0] == STARVED.reason
    assert "Watchdog was not received" in result.reasons[1]


def test_what_passed_though_the_machine_had_no_time_has_passed() -> None:
    result = verdict(passing_events(), STARVED)
    assert (result.outcome, result.starved) == (Outcome.PASSED, False)


def live(events: list[Event], **more: object) -> list[Event]:
    """The run as one in a real environment, where others fire too."""
    return [
        replace(event, mode="live", shared=True, **more) if isinstance(event, RunStarted) else event  # type: ignore[arg-type]
        for event in events
    ]


def test_an_alert_that_was_only_pending_before_the_drill_is_not_excused() -> None:
    pending = AlertSeen(at=T0 - 1, alert="CloudErrorRateHigh", labels=OTHER, state="pending", active_at=T0 - 1)
    firing = replace(pending, at=T0 + 6, state="firing")
    events = live(passing_events())
    result = verdict(events, pending, firing, seen("active"), TOLD)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "CloudErrorRateHigh" in result.reasons[0]
    assert "was pending before the drill began" in result.reasons[0]
    was_firing = replace(pending, state="firing")
    assert verdict(events, was_firing, fired(), seen("active"), TOLD).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("since", "outcome"), [(9.0, Outcome.INCONCLUSIVE), (0.3, Outcome.PASSED), (-2.0, Outcome.PASSED)]
)
def test_an_alarm_that_was_pending_before_the_fault_proves_nothing_by_firing(since: float, outcome: Outcome) -> None:
    firing = AlertSeen(at=FAULT_AT + 4, alert="ProviderDown", labels=LABELS, state="firing", active_at=FAULT_AT - since)
    result = verdict(passing_events(), firing)
    assert result.outcome is outcome
    assert ("was pending 9.0 s before the fault" in result.reasons[0]) is (outcome is Outcome.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("receivers", "strays"),
    [
        (["platform-pager"], ""),
        (["tiercli/platform-pager", "monitoring/tiercli/dashboards"], ""),
        (["platform-pager", "ceo-pager"], "ceo-pager"),
        (["platform-pager", "tiercli/platform-channel"], "platform-channel"),
    ],
)
def test_whoever_alertmanager_routes_it_to_besides_is_told_too(receivers: list[str], strays: str) -> None:
    integrations = {"platform-pager": ["webhook"], "platform-channel": ["slack"], "dashboards": []}
    events = [
        replace(event, receivers=receivers) if isinstance(event, DeliverySeen) else event
        for event in live(passing_events(), integrations=integrations)
    ]
    result = verdict(events)
    assert result.outcome is (Outcome.FAILED if strays else Outcome.PASSED), result.reasons
    if strays:
        assert result.reasons == (f"ProviderDown: it also reached {strays}",)
        told_too = tuple(one.model_copy(update={"also": (strays,)}) for one in spec().expect)
        assert judge(spec().model_copy(update={"expect": told_too}), timeline(events)).outcome is Outcome.PASSED


def test_what_a_silence_holds_back_proves_nothing() -> None:
    silenced = replace(seen("suppressed"), silenced_by=["5f3e"])
    result = verdict(passing_events(), fired(), silenced)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "it fired under a silence" in result.reasons[0]
    both = replace(silenced, inhibited_by=["ProviderDown"])
    assert verdict(passing_events(), fired(), both).outcome is Outcome.PASSED
    untold = [
        replace(event, state="suppressed", silenced_by=["5f3e"])
        if isinstance(event, DeliverySeen) and event.state == "active"
        else event
        for event in passing_events()
        if not (isinstance(event, Notified) and event.alert == "ProviderDown")
    ]
    assert "ProviderDown: no notification reached platform-pager: a silence holds it back" in verdict(untold).reasons


def panel(at: float, value: str, **labels: str) -> PanelSeen:
    rows = [
        {"labels": {"provider": "anthropic", **labels}, "value": value, "unit": "percentunit", "expr": "errors"},
        {"labels": {"provider": "openai"}, "value": "0.5", "unit": "percentunit", "expr": "errors"},
    ]
    return PanelSeen(at=at, dashboard="fleet", panel="Errors", rows=rows)


BEFORE, DURING = FAULT_AT - 0.1, FAULT_AT + 6


@pytest.mark.parametrize(
    ("panels", "outcome", "said"),
    [
        ((), Outcome.INCONCLUSIVE, "was not read"),
        ((panel(BEFORE, "0"),), Outcome.INCONCLUSIVE, "was not read"),
        ((panel(DURING, "1"),), Outcome.INCONCLUSIVE, "was not read before the fault"),
        ((panel(BEFORE, "0"), panel(DURING, "0")), Outcome.FAILED, "shows 0 {provider=anthropic} while the fault"),
        ((panel(BEFORE, "0.21"), panel(DURING, "0.23")), Outcome.FAILED, "shows 0.23"),
        (
            (panel(BEFORE, "0.21"), panel(DURING, "0.9")),
            Outcome.PASSED,
            "Errors {provider=anthropic}: 0.21 before the fault, 0.9 with it",
        ),
        (
            (panel(BEFORE, "0", code="1"), panel(DURING, "0", code="2")),
            Outcome.PASSED,
            ": nothing before the fault, 0 with it",
        ),
    ],
    ids=["never", "not with the fault on", "not before", "nothing there", "hardly changed", "changed", "a new row"],
)
def test_a_panel_shows_a_fault_by_changing(panels: tuple[Event, ...], outcome: Outcome, said: str) -> None:
    wanted = spec().model_copy(
        update={"evidence": (Evidence(dashboard="fleet", panel="Errors", row={"provider": "anthropic"}),)}
    )
    result = judge(wanted, timeline(passing_events(), *panels))
    assert result.outcome is outcome, result.reasons
    assert said in result.evidence[0].message


def test_a_drill_is_not_over_while_something_may_fire_yet() -> None:
    events = timeline(passing_events())
    assert all_resolved(spec(), events)
    pending = AlertSeen(at=CLEAR_AT + 2, alert="CloudErrorRateHigh", labels=OTHER, state="pending", active_at=CLEAR_AT)
    assert not all_resolved(spec(), timeline(passing_events(), pending))
    assert all_resolved(
        spec(), timeline(passing_events(), pending, replace(pending, at=CLEAR_AT + 3, state="inactive"))
    )
    assert all_resolved(spec(), timeline(passing_events(), replace(pending, active_at=T0 - 9)))
    allowing = spec().model_copy(update={"allow": (Allowance(alert="CloudErrorRateHigh"),)})
    assert all_resolved(allowing, timeline(passing_events(), pending))


def test_a_panel_that_was_not_read_leaves_the_run_inconclusive() -> None:
    wanted = spec().model_copy(update={"evidence": (Evidence(dashboard="fleet", panel="Errors"),)})
    result = judge(wanted, timeline(passing_events()))
    assert (result.outcome, result.reasons) == (Outcome.INCONCLUSIVE, ("panel fleet/Errors was not read",))


@pytest.mark.parametrize(
    ("day", "zone", "early"),
    [
        ("2026-11-03T12:00:00+00:00", "UTC", "it is day 3 of the month; the expected alert cannot fire before day 4"),
        ("2026-11-04T00:00:01+00:00", "UTC", ""),
        ("2026-11-03T20:00:00+00:00", "Asia/Kolkata", ""),
        ("2026-11-04T03:00:00+00:00", "America/New_York", "it is day 3 of the month"),
    ],
)
def test_a_drill_that_needs_days_of_a_month_says_so_before_them(day: str, zone: str, early: str) -> None:
    wanted = spec().model_copy(update={"from_day_of_month": 4})
    at = datetime.fromisoformat(day).timestamp()
    said = too_early(wanted, zone, at)
    assert (said or "").startswith(early) if early else said is None
    result = judge(wanted, timeline([Unsound(at=at, reason=said)] if said else []))
    assert result.outcome is Outcome.INCONCLUSIVE
    if said:
        assert said in result.reasons
