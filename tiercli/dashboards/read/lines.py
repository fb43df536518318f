"""A time series panel's rows: each signal beside its baseline and its alarm threshold, which are lines of the same panel.

What a line is for, its override says: dashed and red is where an alarm begins, dashed in another colour is what is usual.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tiercli.dashboards.read.board import BoardPanel, Target
from tiercli.dashboards.read.fields import Look, State, look_of, state_of_color
from tiercli.dashboards.read.reading_model import Line, Points, Row
from tiercli.dashboards.read.series_names import legend_stem, series_name

_RECORDED = re.compile(r"[a-zA-Z_]\w*:[\w:]+")
# A description that names the alarm of the line says which side of it is bad: AuditEmissionLow, "below".
_BELOW = re.compile(r"[a-z]Low\b|\b[Bb]elow\b")
STALE_STEPS = 3  # of the distance between points: a series that is older has ended


@dataclass(frozen=True, slots=True)
class _Drawn:
    target: Target
    line: Line
    name: str
    look: Look
    points: Points  # without NaN
    use: str  # signal, baseline or threshold

    @property
    def last(self) -> float | None:
        return self.points[-1][1] if self.points else None


def line_rows(panel: BoardPanel, lines: Sequence[tuple[Target, Line]], at: float) -> tuple[Row, ...]:
    """A row a signal. Where no signal has data, a row a baseline or threshold, without a number of now."""
    drawn = [_drawn(panel, target, line) for target, line in lines]
    signals = [line for line in drawn if line.use == "signal"]
    if not signals:
        return tuple(_unmet(line) for line in drawn if line.last is not None)
    refs = [target.ref for target in panel.targets]
    shown_refs = [ref for ref in refs if any(signal.target.ref == ref for signal in signals)]
    below = bool(_BELOW.search(panel.description))
    rows = []
    for signal in signals:
        others = [other for other in drawn if other.use != "signal"]
        baseline = _beside(signal, others, "baseline", shown_refs)
        threshold = _beside(signal, others, "threshold", shown_refs)
        rows.append(_row(signal, baseline, threshold, at, below))
    return tuple(rows)


def _drawn(panel: BoardPanel, target: Target, line: Line) -> _Drawn:
    name = series_name(target.legend, line.labels)
    look = look_of(panel, name, target.ref)
    use = "signal"
    if look.dashed:
        use = "threshold" if state_of_color(look.fixed_color) is State.BAD else "baseline"
    points = tuple(point for point in line.points if not math.isnan(point[1]))
    return _Drawn(target, line, name, look, points, use)


def _beside(signal: _Drawn, others: Sequence[_Drawn], use: str, shown_refs: Sequence[str]) -> _Drawn | None:
    """The line of `use` that goes with a signal: of its own recorded series, or else of the panel's first query."""
    best: tuple[int, _Drawn] | None = None
    for other in others:
        if other.use != use or other.last is None:
            continue
        if not _is_of(other.target, signal.target, signal.target.ref == (shown_refs or [""])[0]):
            continue
        fit = _fit(signal, other)
        if fit is not None and (best is None or fit > best[0]):
            best = (fit, other)
    return None if best is None else best[1]


def _is_of(other: Target, signal: Target, first: bool) -> bool:
    roots = _RECORDED.findall(signal.expr)
    names = _RECORDED.findall(other.expr)
    return first or any(name.startswith(f"{root}:") for name in names for root in roots)


def _fit(signal: _Drawn, other: _Drawn) -> int | None:
    """How well a line's labels fit a signal's; None when they are about somebody else."""
    mine, theirs = signal.line.labels, other.line.labels
    shared = [label for label in theirs if label in mine and label != "__name__"]
    if any(mine[label] != theirs[label] for label in shared):
        return None
    stem = legend_stem(other.target.legend, theirs)
    if stem and not shared and stem != legend_stem(signal.target.legend, mine):
        return None
    return len(shared) + (1 if stem and stem == legend_stem(signal.target.legend, mine) else 0)


def _row(signal: _Drawn, baseline: _Drawn | None, threshold: _Drawn | None, at: float, below: bool) -> Row:
    last = signal.last
    values = [value for _, value in signal.points]
    shown = signal.look.show(last, min([0.0, *values]), max(values, default=1.0))
    age = at - signal.points[-1][0] if signal.points else 0.0
    usual = baseline.last if baseline is not None else None
    limit = threshold.last if threshold is not None else None
    state = shown.state
    if last is not None and limit is not None:
        if usual is not None and usual != limit:
            below = limit < usual
        beyond = last < limit if below else last > limit
        within = state if signal.look.steps_drawn and state is not State.NONE else State.OK
        state = State.BAD if beyond else within
    if _ended(signal.points, age):
        state = State.NONE
    return Row(
        name=signal.name,
        labels=signal.line.labels,
        now=last,
        text=shown.text,
        state=state,
        unit=signal.look.unit,
        age_s=age,
        baseline=usual,
        baseline_text="" if usual is None else signal.look.show(usual).text,
        threshold=limit,
        threshold_text="" if limit is None else signal.look.show(limit).text,
        points=signal.points,
    )


def _unmet(line: _Drawn) -> Row:
    """A line that nothing is drawn against."""
    text = line.look.show(line.last).text
    alarm = line.use == "threshold"
    return Row(
        name=line.name,
        labels=line.line.labels,
        now=None,
        text=line.look.no_value,
        unit=line.look.unit,
        baseline=None if alarm else line.last,
        baseline_text="" if alarm else text,
        threshold=line.last if alarm else None,
        threshold_text=text if alarm else "",
    )


def _ended(points: Points, age_s: float) -> bool:
    if len(points) < 2:
        return False
    return age_s > STALE_STEPS * min(later[0] - earlier[0] for earlier, later in itertools.pairwise(points))
