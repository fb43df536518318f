"""Whether the load that a drill planned was there: enough of it, throughout. Judged by requests started, not answered."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.drills.load.shape import least_calls
from tiercli.drills.record.events import AlertSamples, LoadWindow, PhaseStarted, RunEnded, Timeline, WorkerLost
from tiercli.drills.record.result import LoadResult
from tiercli.drills.spec.model import DrillSpec


def judge_load(spec: DrillSpec, timeline: Timeline) -> LoadResult:
    """Whether Locust started what was planned, in each phase. Judged by requests started, not answered."""
    windows = list(timeline.of(LoadWindow))
    phases = list(timeline.of(PhaseStarted))
    begin = phases[0].at if phases else 0.0
    during = [window for window in windows if window.at - window.seconds >= begin - 0.01]
    started = sum(window.started for window in during)
    failed = sum(window.failed for window in during)
    seconds = sum(window.seconds for window in during)
    planned = spec.load.arrivals_per_second
    rate = started / seconds if seconds else 0.0
    if not during:
        message, sufficient = "no load arrived: Locust started no request while the drill ran", False
    else:
        message, sufficient = f"{rate:.0f} of {planned:.0f} planned requests/s were started", True
        for name, phase_windows in _windows_by_phase(phases, during):
            length = sum(window.seconds for window in phase_windows)
            part = sum(window.started for window in phase_windows) / length if length else 0.0
            if part * length < least_calls(min(planned, _least_rate(spec)) * length):
                message = (
                    f"the load did not arrive: {part:.0f} of {planned:.0f} requests/s were started in phase {name}"
                )
                sufficient = False
                break
        gap = _silent_for(during, max(window.at for window in windows), timeline)
        if sufficient and gap > max(5.0, 20 / _least_rate(spec)):
            message, sufficient = f"the load stopped {gap:.0f} s before the end of the run", False
    lost = list(timeline.of(WorkerLost))
    if lost:
        message += f"; of {lost[-1].of} workers {min(event.left for event in lost)} were left"
    return LoadResult(
        planned_rate=planned, started_rate=rate, started=started, failed=failed, sufficient=sufficient, message=message
    )


def _windows_by_phase(phases: list[PhaseStarted], windows: list[LoadWindow]) -> Iterator[tuple[str, list[LoadWindow]]]:
    for position, phase in enumerate(phases):
        end = phases[position + 1].at if position + 1 < len(phases) else float("inf")
        inside = [window for window in windows if phase.at <= window.at - window.seconds / 2 < end]
        if sum(window.seconds for window in inside) >= 1.5:
            yield phase.phase, inside


def _least_rate(spec: DrillSpec) -> float:
    if spec.load.shape == "steps" and spec.load.steps:
        return min(step.arrivals_per_second for step in spec.load.steps)
    return spec.load.arrivals_per_second


def _silent_for(windows: list[LoadWindow], last: float, timeline: Timeline) -> float:
    ended = timeline.first(RunEnded)
    phases = list(timeline.of(PhaseStarted))
    if ended is None or not phases or not windows:
        return 0.0
    busy = [window.at for window in windows if window.started]
    # Alert samples are read after the load is over; what counts is the end of the last phase.
    over = next((event.at for event in timeline.of(AlertSamples)), ended.at)
    return min(over, last + 3600) - max(busy) if busy else over - phases[0].at
