"""Whether the heartbeat arrived while a drill ran: every drill judges Watchdog."""

from __future__ import annotations

from itertools import pairwise

from tiercli.conventions import WATCHDOG
from tiercli.drills.record.events import DeliverySeen, Notified, RunEnded, RunStarted, Timeline
from tiercli.drills.record.result import Outcome, Step

NAME = "heartbeat received"
# From Watchdog's SLA: after this silence, in simulated time, the receiver of the heartbeat alerts.
SILENCE_S = 300.0
# Under a high factor that is an instant; a busy machine may hold a notification back for so long, real seconds.
LEAST_SILENCE_S = 3.0
# A sandbox that has just started sends its first notification this late at most, real seconds.
FIRST_WITHIN_S = 10.0


def judge_heartbeat(run: RunStarted, timeline: Timeline) -> Step | None:
    """Failed where the heartbeat was silent for as long as its receiver would alarm after, from the first phase to the
    end; None for a run that did not end, or was too short to hear it."""
    ended = timeline.first(RunEnded)
    if ended is None or timeline.began > ended.at:
        return None
    if run.told_by == "alertmanager":
        return _kept(timeline, ended.at, max(SILENCE_S / run.factor, LEAST_SILENCE_S))
    beats = [event for event in timeline.of(Notified) if event.alert == WATCHDOG and event.status == "firing"]
    received = sorted(beat.at for beat in beats if timeline.began <= beat.at <= ended.at)
    silences = [later - earlier for earlier, later in pairwise([timeline.began, *received, ended.at])]
    limit = max(SILENCE_S / run.factor, LEAST_SILENCE_S)
    for number, silence in enumerate(silences):
        allowed = limit if number else max(limit, FIRST_WITHIN_S)
        if silence > allowed:
            message = (
                f"{WATCHDOG} was not received for {silence:.1f} s; its receiver raises the alarm after {allowed:.1f} s"
            )
            return Step(name=NAME, outcome=Outcome.FAILED, message=message)
    by = ", ".join(sorted({beat.receiver for beat in beats}))
    if not received:
        return None
    return Step(
        name=NAME,
        outcome=Outcome.PASSED,
        message=f"{WATCHDOG} reached {by} after {silences[0]:.1f} s, then at most {max(silences[1:]):.1f} s of {limit:.1f} s apart",
    )


def _kept(timeline: Timeline, end: float, limit: float) -> Step | None:
    """By Alertmanager's word: it has Watchdog's alert and holds it back from nobody, or did until `limit` seconds ago, all the
    time."""
    absent, since = 0.0, timeline.began
    present = False
    for event in timeline.of(DeliverySeen):
        if event.alert != WATCHDOG:
            continue
        if event.state != "active":
            present, since = False, max(event.at, timeline.began)
        elif not present:
            absent, present = max(absent, event.at - since), True
    if not present:
        absent = max(absent, end - since)
    if absent > limit:
        message = f"Alertmanager did not pass {WATCHDOG} on for {absent:.1f} s; its receiver raises the alarm after {limit:.1f} s"
        return Step(name=NAME, outcome=Outcome.FAILED, message=message)
    return (
        Step(name=NAME, outcome=Outcome.PASSED, message=f"Alertmanager passed {WATCHDOG} on throughout")
        if present
        else None
    )
