"""The floor of an alarm: the time from the signal's departure in the raw data to firing that no alarm configured so
could undercut. What is measured may exceed it by one scrape and one evaluation, and no more (drills.md)."""

from __future__ import annotations

import math

from tiercli.drills.record.events import AlarmFacts


def floor_parts(facts: AlarmFacts, evaluation_s: float, filled_s: float | None) -> dict[str, float]:
    """The terms of the floor in configured seconds, by name; their sum is the floor.

    `filled_s`: how long after its departure the raw data itself made the expression true over the alarm's own window,
    by the scraped samples and before any rule read them; None where that is not known: then all of the window but the
    short one in which the departure was seen. `for` counts from one evaluation to another, so it is rounded up.
    """
    window_s = max(0.0, facts.window_s - facts.shortest_window_s) if filled_s is None else max(0.0, filled_s)
    held_s = math.ceil(round(facts.for_s / evaluation_s, 6)) * evaluation_s
    return {"rate window fills": window_s, "for, in whole evaluations": held_s}


def tolerance_s(scrape_s: float, evaluation_s: float) -> float:
    """What may be added to a floor: up to one scrape until the data is there, up to one evaluation until it is read."""
    return scrape_s + evaluation_s
