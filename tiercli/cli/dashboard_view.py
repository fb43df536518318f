"""A dashboard's reading drawn as lines of text: readable without colour, at 80 columns or at twice that."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from tiercli.cli.dashboard_blocks import block_of, fits_half, styled
from tiercli.cli.terminal import clean, plural
from tiercli.dashboards.read.fields import State
from tiercli.dashboards.read.reading_model import BoardReading, PanelReading
from tiercli.durations import format_duration

TWO_COLUMNS = 132  # from here on, panels stand side by side
GAP = 2


def draw_board(reading: BoardReading, width: int, rows: int = 12) -> list[Text]:
    """The whole board in lines of at most `width` cells; at most `rows` rows a panel, the worst first (0: all)."""
    lines = [*_head(reading, width)]
    section = ""
    for group in _groups(reading.panels, width):
        if group[0].section != section:
            section = group[0].section
            lines += [Text(), Text(clean(section), style="bold underline")] if section else []
        lines.append(Text())
        if len(group) == 1:
            lines += block_of(group[0], width, rows)
        else:
            half = (width - GAP) // 2
            blocks = [[_cut(line, half) for line in block_of(panel, half, rows)] for panel in group]
            lines += _side_by_side(blocks, half)
    return [_cut(line, width) for line in lines]


def fit_board(reading: BoardReading, width: int, height: int) -> list[Text]:
    """The board in at most `height` lines: fewer rows a panel, then only the first panels, and a line that says so."""
    lines: list[Text] = []
    for rows in (12, 8, 5, 3, 2, 1):
        lines = draw_board(reading, width, rows)
        if len(lines) <= height:
            return lines
    left = len(lines) - height + 1
    return [*lines[: height - 1], _cut(Text(f"… {plural(left, 'line')} more: see --panel, --once", "dim"), width)]


def _cut(line: Text, width: int) -> Text:
    line.rstrip()
    line.truncate(width, overflow="ellipsis")
    return line


def _head(reading: BoardReading, width: int) -> Iterator[Text]:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(reading.at))
    right = f"{at}, last {format_duration(reading.range_s)}"
    title = Text(clean(reading.title), style="bold")
    counts = {state: sum(panel.state is state for panel in reading.panels) for state in (State.BAD, State.WARN)}
    for state, count in counts.items():
        if count:
            title.append("  ")
            title.append_text(styled(f"{count} {state}", state))
    errors = sum(bool(panel.errors) for panel in reading.panels)
    if errors:
        title.append(f"  {errors} without an answer", style="magenta")
    if title.cell_len + cell_len(right) + 2 <= width:
        title.append(" " * (width - title.cell_len - cell_len(right)))
        title.append(right, style="dim")
        yield title
    else:
        yield title
        yield Text(right, style="dim")
    chosen = ", ".join(f"{name}: {clean(text) or 'none'}" for name, text in reading.chosen.items())
    if chosen:
        yield Text(chosen, style="dim")
    for note in reading.notes:
        yield Text(f"! {clean(note)}", style="yellow")


def _groups(panels: Sequence[PanelReading], width: int) -> Iterator[tuple[PanelReading, ...]]:
    """Panels that stand beside each other: two where there is room for it, in the order of the board."""
    waiting: PanelReading | None = None
    for panel in panels:
        if width < TWO_COLUMNS or not fits_half(panel):
            if waiting is not None:
                yield (waiting,)
                waiting = None
            yield (panel,)
        elif waiting is None:
            waiting = panel
        elif waiting.section != panel.section:
            yield (waiting,)
            waiting = panel
        else:
            yield waiting, panel
            waiting = None
    if waiting is not None:
        yield (waiting,)


def _side_by_side(blocks: Sequence[list[Text]], width: int) -> Iterator[Text]:
    for at in range(max(len(block) for block in blocks)):
        line = Text()
        for number, block in enumerate(blocks):
            part = block[at] if at < len(block) else Text()
            line.append_text(part)
            if number < len(blocks) - 1:
                line.append(" " * (width - part.cell_len + GAP))
        line.rstrip()
        yield line
