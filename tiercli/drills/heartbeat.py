"""Whether the heartbeat was heard while a drill ran: Watchdog is proven by every drill, or by none."""

from __future__ import annotations

from itertools import pairwise

from tiercli.conventions import WATCHDOG
from tiercli.drills.result import Outcome, Step
from tiercli.drills.timeline import Notified, RunEnded, RunStarted, Timeline

# What stands in Watchdog's SLA: after this silence, estate time, whoever hears the heartbeat alarms.
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
    beats = [one for one in timeline.of(Notified) if one.alert == WATCHDOG and one.status == "firing"]
    heard = sorted(one.at for one in beats if timeline.began <= one.at <= ended.at)
    silences = [later - earlier for earlier, later in pairwise([timeline.began, *heard, ended.at])]
    limit = max(SILENCE_S / run.factor, LEAST_SILENCE_S)
    name = "the heartbeat is heard"
    for number, silence in enumerate(silences):
        allowed = limit if number else max(limit, FIRST_WITHIN_S)
        if silence > allowed:
            said = f"{WATCHDOG} was not heard for {silence:.1f} s, and its receiver alarms after {allowed:.1f} s"
            return Step(name=name, outcome=Outcome.FAILED, said=said)
    by = ", ".join(sorted({one.receiver for one in beats}))
    if not heard:
        return None
    return Step(
        name=name,
        outcome=Outcome.PASSED,
        said=f"{WATCHDOG} reached {by}, at most {max(silences):.1f} s of {limit:.1f} s apart",
    )
