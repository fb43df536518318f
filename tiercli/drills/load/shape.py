"""A load's shape: a pure value with two methods, tested without a clock. Seconds are real seconds from its start."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tiercli.drills.spec.model import Load
from tiercli.durations import parse_duration


@dataclass(frozen=True, slots=True)
class LoadShape:
    """Arrivals per second, linear between `points`: (seconds, rate) pairs in order; the last rate holds for ever."""

    points: tuple[tuple[float, float], ...]

    def rate_at(self, at_s: float) -> float:
        """Arrivals per second at `at_s`."""
        before = self.points[0]
        for point in self.points:
            if point[0] > at_s:
                span = point[0] - before[0]
                return before[1] + (point[1] - before[1]) * (at_s - before[0]) / span
            before = point
        return before[1]

    def arrivals_until(self, at_s: float) -> float:
        """How many arrivals are due by `at_s`: the integral of the rate."""
        total = 0.0
        previous = 0.0
        for edge in [*(at for at, _ in self.points if 0 < at < at_s), at_s]:
            # The rate is linear within a piece; a step is a piece of no length.
            middle = (previous + edge) / 2
            total += self.rate_at(middle) * (edge - previous)
            previous = edge
        return total

    def peak(self) -> float:
        """The highest rate."""
        return max(rate for _, rate in self.points)


def build_shape(load: Load, factor: float) -> LoadShape:
    """The shape that a drill's load section describes; its durations are simulated time, its rates per real second."""

    def seconds(text: str | None) -> float:
        return parse_duration(text or "0s") / factor

    base, peak = load.arrivals_per_second, load.peak_per_second or load.arrivals_per_second
    if load.shape == "ramp":
        return LoadShape(((0.0, base), (seconds(load.ramp_over), peak)))
    if load.shape == "spike":
        begin, end = seconds(load.spike_from), seconds(load.spike_from) + seconds(load.spike_for)
        return LoadShape(((0.0, base), (begin, base), (begin, peak), (end, peak), (end, base)))
    if load.shape == "steps":
        points, rate = [(0.0, base)], base
        for step in sorted(load.steps, key=lambda step: seconds(step.after)):
            points += [(seconds(step.after), rate), (seconds(step.after), step.arrivals_per_second)]
            rate = step.arrivals_per_second
        return LoadShape(tuple(points))
    return LoadShape(((0.0, base),))


# Of the calls that are due.
SUFFICIENT_LOAD = 0.8


def least_calls(planned: float) -> float:
    """How many of the calls that were due must have been started. Arrivals are random: of few, fewer."""
    return min(SUFFICIENT_LOAD * planned, planned - 4 * math.sqrt(planned))
