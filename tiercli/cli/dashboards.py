"""`tiercli dashboards`: list them, read one on a terminal, save them in a Grafana."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from tiercli.catalog.names import unknown_name
from tiercli.cli.dashboard_json import encode_reading
from tiercli.cli.dashboard_sources import load_boards
from tiercli.cli.dashboard_view import draw_board, fit_board
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import OptionalCatalogFile, Templates, TextOrJson
from tiercli.cli.terminal import output_console, plain_table, print_json
from tiercli.clients.prometheus import PrometheusClient
from tiercli.dashboards.read.board import Board
from tiercli.dashboards.read.choices import asked_variables, parse_assignments
from tiercli.durations import parse_duration
from tiercli.errors import BackendError, InvalidInput, Location, Problem
from tiercli.output.live_board import BoardRequest, fetch_board

Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Generated folder, or folder of dashboards, in place of a catalog."),
]


@examples(
    "tiercli dashboards list catalogs/hybrid.yaml",
)
def list_dashboards(
    catalog: OptionalCatalogFile = None,
    folder: Folder = None,
    templates: Templates = None,
    form: TextOrJson = "text",
) -> None:
    """List the dashboards: name, title, uid, panels, and the variables that --var can set."""

    boards, _ = load_boards(catalog, folder, templates)
    rows = [
        {
            "name": name,
            "title": board.title,
            "uid": board.uid,
            "panels": len(board.panels),
            "variables": [variable.name for variable in asked_variables(board)],
        }
        for name, board in boards.items()
    ]
    if form == "json":
        print_json({"dashboards": rows})
        return
    table = plain_table("name", "title", "uid", "panels", "variables")
    for column in table.columns[:3]:
        column.no_wrap = True
    for name, board in boards.items():
        names = ", ".join(variable.name for variable in asked_variables(board))
        table.add_row(*(Text(cell) for cell in (name, board.title, board.uid, str(len(board.panels)), names)))
    console = output_console()
    console.width = console.width if console.is_terminal else 160
    console.print(table)


@examples(
    "tiercli dashboards show home my.yaml --prometheus http://prometheus:9090",
    "tiercli dashboards show provider my.yaml --var provider=anthropic --var region=ap-south-1 --range 6h",
    "tiercli dashboards show home --dir monitoring --once --width 100      (in CI: one plain drawing)",
    "tiercli dashboards show provider --dir monitoring --format json | jq '.panels[] | select(.state == \"bad\")'",
)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A dashboard's name, or its uid.", show_default=False)],
    catalog: OptionalCatalogFile = None,
    prometheus: Annotated[
        str,
        typer.Option(
            "--prometheus", envvar="TIERCLI_PROMETHEUS_URL", metavar="URL", help="URL of the Prometheus to query."
        ),
    ] = "http://localhost:9090",
    folder: Folder = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            "--var",
            metavar="NAME=VALUE",
            help="Set a variable, as NAME=VALUE; may be repeated. \\[default: all values]",
        ),
    ] = None,
    panel: Annotated[
        list[str] | None, typer.Option("--panel", metavar="TITLE", help="Only this panel; may be repeated.")
    ] = None,
    range_: Annotated[str, typer.Option("--range", metavar="DURATION", help="How far back to look.")] = "1h",
    refresh: Annotated[str, typer.Option("--refresh", metavar="DURATION", help="Time between two refreshes.")] = "5s",
    once: Annotated[
        bool, typer.Option("--once", help="Draw once and exit. \\[default where there is no terminal]")
    ] = False,
    rows: Annotated[
        int, typer.Option("--rows", min=0, help="Most rows per panel in one drawing, worst first; 0 shows all.")
    ] = 12,
    width: Annotated[
        int | None, typer.Option("--width", min=40, help="Width in columns. \\[default: the terminal's, else 100]")
    ] = None,
    templates: Templates = None,
    form: TextOrJson = "text",
) -> None:
    """Read a dashboard: the value of each panel now, its usual value, its alarm threshold, and what is bad.

    On a terminal it refreshes until Ctrl-C; elsewhere it draws once. ✓ ok, ! warn, ✗ bad, by the thresholds
    of the panel. A query that Prometheus rejects is shown in its panel. Exit 3 if Prometheus does not answer.
    """

    boards, scrape_s = load_boards(catalog, folder, templates)
    board = _only(_named(boards, name), panel or ())
    request = BoardRequest(board, _wanted(board, var or ()), _seconds(range_, "--range"), scrape_s)
    every = _seconds(refresh, "--refresh")
    if form == "json" or once or not sys.stdout.isatty():
        asyncio.run(_once(prometheus, request, rows, width, as_json=form == "json"))
    else:
        asyncio.run(_watch(prometheus, request, every, width))


async def _once(prometheus: str, request: BoardRequest, rows: int, width: int | None, *, as_json: bool) -> None:

    async with PrometheusClient(prometheus, timeout_s=20.0) as client:
        reading = await fetch_board(client, request)
    if as_json:
        typer.echo(encode_reading(reading), nl=False)
        return
    console = output_console()
    columns = width or (console.width if sys.stdout.isatty() else 100)
    for line in draw_board(reading, columns, rows):
        console.print(line, soft_wrap=True)


async def _watch(prometheus: str, request: BoardRequest, every_s: float, width: int | None) -> None:
    """Draw until Ctrl-C. If Prometheus stops answering, that is reported above its last answer."""

    console = output_console()
    async with PrometheusClient(prometheus, timeout_s=20.0) as client:
        reading = await fetch_board(client, request)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            lost = ""
            while True:
                lines = fit_board(reading, width or console.width, console.height - (1 if lost else 0))
                warning = [Text(lost, style="bold red", no_wrap=True, overflow="ellipsis")] if lost else []
                live.update(Group(*warning, *lines), refresh=True)
                await asyncio.sleep(every_s)
                try:
                    reading, lost = await fetch_board(client, request), ""
                except BackendError as error:
                    lost = f"{error.message} (values are {time.time() - reading.at:.0f} s old)"


def _named(boards: Mapping[str, Board], name: str) -> Board:

    for known, board in boards.items():
        if name in (known, board.uid):
            return board
    problem = unknown_name("dashboard", name, boards, Location("command line"))
    raise InvalidInput(f"there is no dashboard {name!r}", [problem])


def _only(board: Board, titles: list[str] | tuple[str, ...]) -> Board:
    """The board with only the panels of these titles, or all."""

    known = {panel.title.casefold(): panel.title for panel in board.panels}
    unknown = [title for title in titles if title.casefold() not in known]
    if unknown:
        at = Location("command line")
        raise InvalidInput(
            f"{board.title} has no such panel", [unknown_name("panel", title, known.values(), at) for title in unknown]
        )
    wanted = {title.casefold() for title in titles}
    return replace(
        board, panels=tuple(panel for panel in board.panels if not wanted or panel.title.casefold() in wanted)
    )


def _wanted(board: Board, texts: list[str] | tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:

    at = Location("--var")
    values, wrong = parse_assignments(texts)
    known = [variable.name for variable in asked_variables(board)]
    problems = [Problem(at, f"{text!r} sets nothing", "NAME=VALUE") for text in wrong]
    problems += [unknown_name("variable", name, known, at) for name in values if name not in known]
    problems += [
        Problem(at, f"{len(some)} values of {variable.name}, which holds one", "one value")
        for variable in asked_variables(board)
        if len(some := values.get(variable.name, ())) > 1 and not variable.multi
    ]
    if problems:
        raise InvalidInput(f"{board.title} cannot be drawn", problems)
    return values


def _seconds(text: str, flag: str) -> float:

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InvalidInput(
            f"{flag} is not a duration", [Problem(Location(flag), str(error), "30s, 5m, 1h30m")]
        ) from error
    if seconds <= 0:
        raise InvalidInput(f"{flag} is not a duration", [Problem(Location(flag), f"{text!r} is no time", "5m")])
    return seconds
