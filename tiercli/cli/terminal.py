"""What every command shares: consoles that obey NO_COLOR and --no-color, and how an error, JSON and a number are printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tiercli.errors import CheckFailed, InvalidInput, TiercliError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_COLOR = {"off": False}


def turn_color_off() -> None:
    """Print without colour from here on, as --no-color asks."""
    _COLOR["off"] = True
    os.environ["NO_COLOR"] = "1"  # programs that tiercli starts obey it too


def output_console() -> Console:
    """The console for what a command answers: standard output, in colour only on a terminal."""
    from rich.console import Console

    return Console(no_color=_COLOR["off"] or None, highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty())


def error_console() -> Console:
    """The console for errors and progress: standard error."""
    from rich.console import Console

    return Console(stderr=True, no_color=_COLOR["off"] or None, highlight=False, emoji=False, soft_wrap=True)


def plain_table(*headings: str, right: Collection[str] = (), no_wrap: bool = False) -> Table:
    """A table without lines. `right`: headings whose columns hold numbers; `no_wrap`: cells stay on one line, else they fold
    where the terminal ends."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold", no_wrap=no_wrap)
    return table


def print_json(content: Any) -> None:
    """Print the answer of a command for a machine."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def clean(text: str) -> str:
    """`text` without what a terminal obeys: names come out of files and networks."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def plural(count: int, thing: str, many: str = "") -> str:
    """A number with its noun: "1 file", "3 files"."""
    return f"{count} {thing if count == 1 else many or thing + 's'}"


def print_error(error: TiercliError) -> None:
    """Tell an expected failure: every problem on a line of its own, then what happened, then what to do."""
    from rich.markup import escape

    console = error_console()
    if isinstance(error, InvalidInput):
        for problem in error.problems:
            console.print(escape(str(problem)))
    if isinstance(error, CheckFailed):
        for line in error.details:
            console.print(escape(line))
    console.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        console.print(f"[dim]hint:[/] {escape(error.hint)}")
