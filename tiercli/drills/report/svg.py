"""The figure of a report: load, signal and alert states on one time axis, as SVG that needs no script.

Pure: events in, markup out. Colours are CSS classes of the page, so that light and dark share one picture.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 1040
LEFT, RIGHT = 200, 20
_PLOT = WIDTH - LEFT - RIGHT

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a track: its CSS class, its name, its points (Unix seconds, value)."""

    style: str
    name: str
    points: Points


@dataclass(frozen=True, slots=True)
class Track:
    """A picture over time with a scale of its own."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    height: int = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a lane, with what it says."""

    begin: float
    end: float
    style: str
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of a lane."""

    at: float
    style: str
    text: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The states of one alert."""

    title: str
    subtitle: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """Everything of one picture. `phases` and `faults` are (begin, end, name), Unix seconds."""

    begin: float
    end: float
    zero: float
    phases: tuple[tuple[float, float, str], ...]
    faults: tuple[tuple[float, float, str], ...]
    tracks: tuple[Track, ...]
    lanes: tuple[Lane, ...]


def draw(figure: Figure) -> str:
    """The figure as an SVG element."""
    body: list[str] = []
    y = 48.0
    top = y - 18
    for track in figure.tracks:
        body += _track(figure, track, y)
        y += track.height + 52
    for lane in figure.lanes:
        body += _lane(figure, lane, y)
        y += 46
    bottom = y
    head = [*_faults(figure, top - 6, bottom), *_phases(figure, bottom), *_axis(figure, bottom)]
    height = bottom + 34
    label = escape("Load, signal and alert states over the run, on one time axis")
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">'
        + "".join([*head, *body])
        + "</svg>"
    )


def _x(figure: Figure, at: float) -> float:
    span = max(1e-9, figure.end - figure.begin)
    return LEFT + _PLOT * (min(max(at, figure.begin), figure.end) - figure.begin) / span


def _track(figure: Figure, track: Track, y: float) -> list[str]:
    values = [value for line in track.lines for _, value in line.points if math.isfinite(value)]
    top = _nice_top(max(values, default=1.0))
    out = [f'<text class="title" x="{LEFT}" y="{y - 8}">{escape(track.title)}</text>']
    for share in (0.0, 0.5, 1.0):
        line_y = y + track.height * (1 - share)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{line_y:.1f}" y2="{line_y:.1f}"/>')
        label = _quantity(top * share, track.unit)
        out.append(f'<text class="tick" x="{LEFT - 12}" y="{line_y + 4:.1f}" text-anchor="end">{label}</text>')
    if not values:
        out.append(f'<text class="tick" x="{LEFT + 10}" y="{y + track.height / 2}">no samples</text>')
    for line in track.lines:
        path = _path(figure, line.points, y, track.height, top)
        if path:
            out.append(f'<path class="{line.style}" d="{path}"><title>{escape(line.name)}</title></path>')
    x: float = LEFT
    for line in track.lines:
        out.append(
            f'<line class="{line.style}" x1="{x:.0f}" x2="{x + 22:.0f}" y1="{y + track.height + 15}" y2="{y + track.height + 15}"/>'
        )
        out.append(f'<text class="legend" x="{x + 28:.0f}" y="{y + track.height + 19}">{escape(line.name)}</text>')
        x += 48 + 7.2 * len(line.name)
    return out


def _path(figure: Figure, points: Points, y: float, height: float, top: float) -> str:
    """An SVG path; a gap in time stays a gap."""
    parts: list[str] = []
    times = [at for at, _ in points]
    steps = sorted(b - a for a, b in itertools.pairwise(times))
    usual = steps[len(steps) // 2] if steps else 1.0
    last: float | None = None
    for at, value in points:
        if not math.isfinite(value) or not figure.begin <= at <= figure.end:
            continue
        move = last is None or at - last > 4 * usual
        place = y + height * (1 - min(value / top, 1.02))
        parts.append(f"{'M' if move else 'L'}{_x(figure, at):.1f} {place:.1f}")
        last = at
    return "".join(parts)


def _lane(figure: Figure, lane: Lane, y: float) -> list[str]:
    out = [
        f'<text class="title" x="{LEFT - 12}" y="{y + 15}" text-anchor="end">{escape(_short(lane.title))}</text>',
        f'<text class="tick" x="{LEFT - 12}" y="{y + 29}" text-anchor="end">{escape(_short(lane.subtitle, 30))}</text>',
        f'<rect class="lane" x="{LEFT}" y="{y + 4}" width="{_PLOT}" height="20" rx="3"/>',
    ]
    for bar in lane.bars:
        x1, x2 = _x(figure, bar.begin), _x(figure, bar.end)
        width = max(2.0, x2 - x1)
        out.append(
            f'<rect class="{bar.style}" x="{x1:.1f}" y="{y + 4}" width="{width:.1f}" height="20" rx="3">'
            f"<title>{escape(bar.text)}</title></rect>"
        )
        if width > 7.5 * len(bar.text):
            out.append(f'<text class="in-bar" x="{x1 + 6:.1f}" y="{y + 18}">{escape(bar.text)}</text>')
    free_from = 0.0
    for mark in sorted(lane.marks, key=lambda mark: mark.at):
        x = _x(figure, mark.at)
        out.append(
            f'<path class="{mark.style}" d="M{x:.1f} {y + 26}l5 9h-10z"><title>{escape(mark.text)}</title></path>'
        )
        anchor_end = x + 7.2 * len(mark.text) + 10 > WIDTH - RIGHT
        start = x - 8 - 6.2 * len(mark.text) if anchor_end else x + 8
        if start >= free_from:
            out.append(f'<text class="tick" x="{start:.1f}" y="{y + 36}">{escape(mark.text)}</text>')
            free_from = start + 6.2 * len(mark.text) + 8
    return out


def _faults(figure: Figure, top: float, bottom: float) -> Iterable[str]:
    for begin, end, name in figure.faults:
        x1, x2 = _x(figure, begin), _x(figure, end)
        yield (
            f'<rect class="fault" x="{x1:.1f}" y="{top:.1f}" width="{max(1.0, x2 - x1):.1f}" height="{bottom - top:.1f}">'
            f"<title>{escape(name)}</title></rect>"
        )


def _phases(figure: Figure, bottom: float) -> Iterable[str]:
    for begin, end, name in figure.phases:
        x1, x2 = _x(figure, begin), _x(figure, end)
        yield f'<line class="phase" x1="{x1:.1f}" x2="{x1:.1f}" y1="16" y2="{bottom:.1f}"/>'
        yield f'<text class="phase-name" x="{(x1 + x2) / 2:.1f}" y="14" text-anchor="middle">{escape(name)}</text>'


def _axis(figure: Figure, y: float) -> Iterable[str]:
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    step = _nice_step((figure.end - figure.begin) / 8)
    at = math.ceil((figure.begin - figure.zero) / step) * step
    while figure.zero + at <= figure.end:
        x = _x(figure, figure.zero + at)
        yield f'<text class="tick" x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{at:+g} s</text>'
        at += step


def _nice_step(rough: float) -> float:
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600):
        if step >= rough:
            return step
    return 7200


def _nice_top(value: float) -> float:
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if factor * power >= value)


def _quantity(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 or value == 0 else f"{value * 1000:.3g} ms"
    return f"{value:.3g}" + (f" {unit}" if unit not in ("short", "") else "")


def _short(text: str, most: int = 26) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
