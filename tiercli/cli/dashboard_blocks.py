"""One panel's reading as lines of text, by its type."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from tiercli.cli.terminal import clean, plural
from tiercli.dashboards.read.fields import State
from tiercli.dashboards.read.lines import STALE_STEPS
from tiercli.dashboards.read.reading_model import PanelReading, Row
from tiercli.durations import format_duration

MARK: Mapping[State, str] = {State.OK: "✓", State.WARN: "!", State.BAD: "✗", State.NONE: "·"}
_STYLE = {State.OK: "green", State.WARN: "yellow", State.BAD: "bold red", State.NONE: ""}
_LANE = {State.OK: "▁", State.WARN: "▄", State.BAD: "█", State.NONE: "·"}
_BARS = "▁▂▃▄▅▆▇█"
_ORDER = (State.BAD, State.WARN, State.OK, State.NONE)
SPARK, WIDE_SPARK, LEAST_NAME, LEAST_COLUMN = 14, 30, 16, 4


def styled(text: str, state: State) -> Text:
    """`text` in the colour of a state."""
    return Text().append(text, style=_STYLE[state])


def fits_half(panel: PanelReading) -> bool:
    """Whether half of a wide terminal is enough for a panel."""
    return panel.type != "table" or len(panel.columns) <= 4


def block_of(panel: PanelReading, width: int, rows: int) -> list[Text]:
    """A panel in lines of at most `width` cells: its title, its rows (at most `rows`, the worst first; 0: all)."""
    lines = [_title(panel, width)]
    if panel.state in (State.BAD, State.WARN) and panel.description:
        lines += [Text(line, style="dim italic") for line in textwrap.wrap(clean(panel.description), width)]
    for error in panel.errors:
        lines += [Text(line, style="magenta") for line in textwrap.wrap(f"? {clean(error)}", width)]
    lines += [Text(f"({note})", style="dim") for note in panel.notes]
    if panel.content:
        lines += [
            Text(part)
            for splitline in panel.content.splitlines()
            for part in textwrap.wrap(clean(splitline), width) or [""]
        ]
    shown = sorted(panel.rows, key=lambda row: _ORDER.index(row.state)) if panel.type != "table" else list(panel.rows)
    left = len(shown) - rows if rows else 0
    shown = shown[:rows] if rows else shown
    if shown:
        lines += _DRAW.get(panel.type, _draw_lines)(panel, shown, width)
    elif panel.type == "alertlist" and not panel.errors:
        lines.append(Text("✓ no alert", style="green"))
    elif panel.type == "table" and not panel.errors:
        lines.append(Text("empty", style="dim"))
    elif panel.type != "text" and not panel.errors:
        lines.append(Text(panel.no_value, style="dim"))
    if left > 0:
        lines.append(Text(f"… {plural(left, 'row')} more", style="dim"))
    return lines


def spark(values: Sequence[float | None], width: int) -> str:
    """Values as bars of rising height, the largest of each place; a gap is a space, what never changes is flat."""
    kept = [value for value in values if value is not None and math.isfinite(value)]
    if not kept or width < 1:
        return " " * width
    low, high = min(kept), max(kept)
    bars = []
    for place in range(min(width, len(values))):
        count = min(width, len(values))
        part = values[place * len(values) // count : (place + 1) * len(values) // count]
        finite = [value for value in part if value is not None and math.isfinite(value)]
        if not finite:
            bars.append(" ")
        elif high == low:
            bars.append(_BARS[0] if high == 0 else _BARS[3])
        else:
            bars.append(_BARS[round((max(finite) - low) / (high - low) * (len(_BARS) - 1))])
    return "".join(bars).rjust(width)


def middle(text: str, width: int) -> str:
    """`text` in exactly `width` cells; one that is too long loses its middle, for names differ at both ends."""
    text = clean(text)
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    if width < 5:
        return set_cell_size(text, width)
    tail = (width - 1) // 2
    end = text[-tail:]
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(text, width - 1 - cell_len(end)) + "…" + end


def _title(panel: PanelReading, width: int) -> Text:
    line = Text("── ")
    line.append(middle(panel.title, min(cell_len(clean(panel.title)), width - 14)), style="bold")
    line.append(" ")
    state = "no answer" if panel.errors and not panel.rows else panel.state.value
    tag = "" if state == "none" else f" {state} ──"
    line.append("─" * max(0, width - line.cell_len - cell_len(tag)))
    if tag:
        line.append(tag[:-3], style="magenta" if state == "no answer" else _STYLE[panel.state])
        line.append(" ──")
    return line


def _gapped(rows: Sequence[Row]) -> list[list[float | None]]:
    """Each row's values at the times that any of them has: a series that begins late or ends early has gaps."""
    times = sorted({at for row in rows for at, _ in row.points})
    gapped = []
    for row in rows:
        held = dict(row.points)
        gapped.append([held.get(at) for at in times])
    return gapped


def _age(row: Row) -> str:
    """How long ago a row's series ended, when it did."""
    if len(row.points) < 2:
        return ""
    step = row.points[1][0] - row.points[0][0]
    return f" ({_short(row.age_s)} ago)" if row.age_s > STALE_STEPS * step else ""


def _short(seconds: float) -> str:
    unit = 1 if seconds < 120 else 60 if seconds < 7200 else 3600 if seconds < 172_800 else 86_400
    return format_duration(round(seconds / unit) * unit)


def _draw_lines(panel: PanelReading, rows: Sequence[Row], width: int) -> list[Text]:
    """Name, now, normal, alarm, and the recent course."""
    columns: list[tuple[str, list[str]]] = [("now", [row.text + _age(row) for row in rows])]
    for head, texts in (("normal", [r.baseline_text for r in rows]), ("alarm", [r.threshold_text for r in rows])):
        if any(texts):
            columns.append((head, texts))
    sizes = [max(len(head), *(cell_len(text) for text in texts)) for head, texts in columns]
    bars = SPARK if width < 100 else WIDE_SPARK
    room = width - 2 - sum(size + 2 for size in sizes) - bars - 2
    longest = max(cell_len(clean(row.name)) for row in rows)
    if room < LEAST_NAME:
        bars = max(0, bars - (LEAST_NAME - room))
        room = LEAST_NAME
    name = min(room, longest) if width < 100 else min(room, max(longest, LEAST_NAME))
    bars = min(WIDE_SPARK, bars + room - name)
    head_line = Text("  " + " " * name, style="dim")
    for (head, _), size in zip(columns, sizes, strict=True):
        head_line.append("  " + head.rjust(size))
    lines = [head_line]
    for at, (row, values) in enumerate(zip(rows, _gapped(rows), strict=True)):
        line = styled(MARK[row.state], row.state)
        line.append(" " + middle(row.name, name), style="")
        for number, ((_, texts), size) in enumerate(zip(columns, sizes, strict=True)):
            style = _STYLE[row.state] if number == 0 else "dim"
            line.append("  ")
            line.append(texts[at].rjust(size), style=style)
        if bars > 1:
            line.append("  ")
            line.append(spark(values, bars), style=_STYLE[row.state] or "cyan")
        lines.append(line)
    return lines


def _draw_stats(panel: PanelReading, rows: Sequence[Row], width: int) -> list[Text]:
    """One number a line, large by being alone."""
    names = [row.name for row in rows]
    size = min(max(cell_len(clean(name)) for name in names), max(LEAST_NAME, width // 2))
    values = [row.text + _age(row) for row in rows]
    number = max(cell_len(value) for value in values)
    bars = max(0, min(WIDE_SPARK, width - size - number - 6))
    lines = []
    for row, value, points in zip(rows, values, _gapped(rows), strict=True):
        line = styled(f"{MARK[row.state]} ", row.state)
        line.append(middle(row.name, size))
        line.append("  ")
        line.append(value.rjust(number), style=f"bold {_STYLE[row.state].removeprefix('bold ')}".strip())
        if bars > 1 and len(row.points) > 1:
            line.append("  ")
            line.append(spark(points, bars), style=_STYLE[row.state] or "cyan")
        lines.append(line)
    return lines


def _draw_bars(panel: PanelReading, rows: Sequence[Row], width: int) -> list[Text]:
    size = min(max(cell_len(clean(row.name)) for row in rows), max(LEAST_NAME, width // 3))
    number = max(cell_len(row.text) for row in rows)
    room = max(4, width - size - number - 6)
    top = max((row.now for row in rows if row.now is not None and math.isfinite(row.now)), default=0.0)
    lines = []
    for row in rows:
        line = styled(f"{MARK[row.state]} ", row.state)
        line.append(f"{middle(row.name, size)}  ")
        line.append(row.text.rjust(number), style=_STYLE[row.state])
        if top > 0 and row.now is not None and row.now > 0:
            filled = max(1, round(min(row.now, top) / top * room))
            line.append("  ")
            line.append("█" * filled, style=_STYLE[row.state] or "blue")
        lines.append(line)
    return lines


def _draw_lanes(panel: PanelReading, rows: Sequence[Row], width: int) -> list[Text]:
    """A lane a row: low where all is well, full where it is bad."""
    size = min(max(cell_len(clean(row.name)) for row in rows), max(LEAST_NAME, width // 3))
    number = max(cell_len(row.text) for row in rows)
    room = max(4, width - size - number - 6)
    times = sorted({at for row in rows for at, _ in row.points})
    lines = []
    for row in rows:
        line = styled(f"{MARK[row.state]} ", row.state)
        line.append(f"{middle(row.name, size)}  ")
        line.append(row.text.rjust(number), style=_STYLE[row.state])
        line.append("  ")
        held = {at: state for (at, _), state in zip(row.points, row.point_states, strict=False)}
        count = min(room, len(times))
        for place in range(count):
            part = times[place * len(times) // count : (place + 1) * len(times) // count]
            states = [held[at] for at in part if at in held]
            state = min(states, key=_ORDER.index) if states else None
            line.append(" " if state is None else _LANE[state], style="" if state is None else _STYLE[state])
        lines.append(line)
    return lines


def _draw_table(panel: PanelReading, rows: Sequence[Row], width: int) -> list[Text]:
    """Columns in the board's order; numbers stand right. The longest give way where there is no room."""
    names = [clean(name) for name in panel.columns]
    texts = [[clean(cell.text) for cell in row.cells] for row in rows]
    kept = [at for at in range(len(names)) if any(text[at] for text in texts)]
    sizes = {at: max(cell_len(names[at]), *(cell_len(text[at]) for text in texts)) for at in kept}
    while kept and sum(sizes.values()) + 2 * len(kept) > width and max(sizes.values()) > LEAST_COLUMN:
        widest = max(kept, key=lambda at: sizes[at])
        sizes[widest] -= 1
    right = {at: all(row.cells[at].value is not None or not row.cells[at].text for row in rows) for at in kept}
    head = Text("  ", style="dim")
    for at in kept:
        text = middle(names[at], min(sizes[at], cell_len(names[at])))
        head.append((text.rjust(sizes[at]) if right[at] else set_cell_size(text, sizes[at])) + "  ")
    lines = [head]
    for row, own in zip(rows, texts, strict=True):
        line = styled(f"{MARK[row.state]} ", row.state)
        for at in kept:
            text = middle(own[at], min(sizes[at], cell_len(own[at])))
            padded = " " * (sizes[at] - cell_len(text)) + text if right[at] else set_cell_size(text, sizes[at])
            line.append(padded + "  ", style=_STYLE[row.cells[at].state])
        lines.append(line)
    for line in lines:
        line.rstrip()
        line.truncate(width)
    return lines


def _draw_alerts(panel: PanelReading, rows: Sequence[Row], width: int) -> list[Text]:
    lines = []
    for row in rows:
        line = styled(f"{MARK[row.state]} {clean(row.name)}", row.state)
        line.append(f"  for {_short(row.age_s)}", style="dim")
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
        lines += [Text(f"    {line}", style="dim") for line in textwrap.wrap(clean(row.text), width - 4)]
    return lines


_DRAW: Mapping[str, Callable[[PanelReading, Sequence[Row], int], list[Text]]] = {
    "stat": _draw_stats,
    "gauge": _draw_stats,
    "bargauge": _draw_bars,
    "state-timeline": _draw_lanes,
    "table": _draw_table,
    "alertlist": _draw_alerts,
}
