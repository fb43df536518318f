"""Time to detect: since when the raw data makes an alarm's expression true, and the floor, the time from a change in the raw data to
firing that the alarm's own window and `for` make the minimum. What is measured may exceed it by one scrape and one evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tiercli.drills.record.events import AlarmFacts, AlertSamples, SignalSamples, Timeline
from tiercli.drills.spec.model import Expectation


def signals_of(expected: Expectation, timeline: Timeline, role: str) -> Iterator[SignalSamples]:
    """The samples of one role that belong to the expected alert: labels that both know must agree."""
    for event in timeline.of(SignalSamples):
        if event.alert == expected.alert and event.role == role:
            shared = set(event.labels) & set(expected.labels)
            if all(event.labels[name] == expected.labels[name] for name in shared):
                yield event


def filled_at(
    expected: Expectation, timeline: Timeline, samples: Sequence[AlertSamples], scrape_s: float
) -> float | None:
    """Since when, Unix seconds, the raw data made the expression true without a break until the alert was pending for the last
    time before it fired: a signal that falls back begins its `for` anew. None where that is not known.

    `samples`: those of the expected alert since the fault; of several alerts, the first to fire counts."""
    firing = [sample for sample in samples if sample.state == "firing" and sample.times]
    if not firing:
        return None
    first = min(firing, key=lambda event: min(event.times))
    fired_at = min(first.times)
    pending = [
        at for sample in samples if sample.state == "pending" and sample.labels == first.labels for at in sample.times
    ]
    held_from = _last_begin([at for at in pending if at < fired_at], fired_at)
    look_s = scrape_s / 3  # it is looked at several times a scrape: two looks that miss are a break
    begins = [
        at
        for event in signals_of(expected, timeline, "filled")
        if all(first.labels.get(name, value) == value for name, value in event.labels.items())
        for at in _begins([at for at, _ in event.points], look_s)
    ]
    # Raw rates do not see a counter's first event, which a rule may: then all of them come later.
    return max((at for at in begins if at <= held_from + look_s), default=min(begins, default=None))


def _last_begin(pending: Sequence[float], fired_at: float) -> float:
    """Since when an alert was pending, at one evaluation after the other, until it fired."""
    times = sorted({*pending, fired_at})
    step_s = min((later - earlier for earlier, later in pairwise(times)), default=0.0)
    return _begins(times, 1.5 * step_s)[-1]


def _begins(times: Sequence[float], gap_s: float) -> list[float]:
    """When each stretch of `times` begins; one ends where the next time is more than `gap_s` later."""
    times = sorted(times)
    return [at for number, at in enumerate(times) if number == 0 or at - times[number - 1] > gap_s]


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
