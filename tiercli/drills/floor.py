"""The floor of an alarm: the time from the signal's departure in the raw data to firing that no alarm configured so
could undercut. What is measured may exceed it by one scrape and one evaluation, and no more (drills.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tiercli.drills.timeline import AlarmFacts


def floor_parts(
    facts: AlarmFacts, evaluation_s: float, shares: Sequence[float] = (), timeout_s: float = 0.0
) -> dict[str, float]:
    """The terms of the floor in configured seconds, by name; their sum is the floor.

    A window that drains (no success left in it) must pass whole. One that fills crosses its threshold once the share
    of departed observations reaches what the alarm needs: with `shares` of the raw data past the threshold since the
    departure, after needs / mean(shares) of the window. The departure itself is seen over a short window, which the
    alarm's own window has already spent by then. `for` counts from one evaluation to another, so it is rounded up.
    """
    fill = 1.0
    if not facts.drains:
        share = sum(shares) / len(shares) if shares else 1.0
        fill = min(1.0, facts.fill_needs / share) if share > 0 else 1.0
    window_s = max(0.0, facts.window_s - facts.shortest_window_s) * fill
    held_s = math.ceil(round(facts.for_s / evaluation_s, 6)) * evaluation_s
    parts = {"rate window fills": window_s, "for, in whole evaluations": held_s}
    if timeout_s:
        parts["gateway timeout"] = timeout_s
    return parts


def tolerance_s(scrape_s: float, evaluation_s: float) -> float:
    """What may be added to a floor: up to one scrape until the data is there, up to one evaluation until it is read."""
    return scrape_s + evaluation_s
