"""Tables of numbers whose lines are never cut off: in a narrow terminal they wrap instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.text import Text

from tiercli.cli.terminal import output_console, plain_table

_Row = TypeVar("_Row")
_WIDE = 1000
SHOWN_ROWS = 20  # unless all are asked for


@dataclass(frozen=True, slots=True)
class Column(Generic[_Row]):
    """A column: its heading, what it shows of a row, and what it shows in the last line, of all rows together."""

    heading: str
    cell: Callable[[_Row], str]
    total: str = ""
    right: bool = False


def print_table(
    columns: Sequence[Column[_Row]],
    rows: Sequence[_Row],
    bad: Callable[[_Row], bool],
    total_bad: bool,
    *,
    every_row: bool = True,
) -> None:
    """Print the rows, those that are `bad` in red, and the totals. Without `every_row` only the first SHOWN_ROWS, those that are
    bad, and how many there are beside them."""

    numbers = [column.heading for column in columns if column.right]
    table = plain_table(*(column.heading for column in columns), right=numbers, no_wrap=True)
    shown = rows if every_row else [row for place, row in enumerate(rows) if place < SHOWN_ROWS or bad(row)]
    for row in shown:
        table.add_row(*(Text(column.cell(row)) for column in columns), style="red" if bad(row) else None)
    if len(shown) < len(rows):
        table.add_row(f"… {len(rows) - len(shown):,} more, --all", style="dim")
    table.add_row(*(Text(column.total) for column in columns), style="red" if total_bad else "bold")
    console = output_console()
    console.width = max(console.width, _WIDE)
    console.print(table, crop=False)
