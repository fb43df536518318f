"""`tiercli drill`: fire drills, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tiercli.cli import drill_bell, drill_blind, drill_records
from tiercli.cli.terminal import error_console, output_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiercli.drills.estate import Estate
    from tiercli.drills.order import DrillOrder, DrillRun

DEFAULT_CATALOG = "hybrid.yaml"

Catalog = Annotated[
    Path | None,
    typer.Option("--catalog", "-c", envvar="TIERCLI_CATALOG", help="The catalog. Without it, hybrid.yaml of tiercli."),
]
Drills = Annotated[list[Path] | None, typer.Option("--drills", help="A folder of your own drills; may be repeated.")]
Templates = Annotated[
    list[Path] | None, typer.Option("--templates", help="A folder of your own alarm files; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(
        help="Fire drills: prove that the right alarm fires, in time, and reaches the right people.",
        no_args_is_help=True,
    )
    group.command("list", epilog="Example:\n\n  tiercli drill list --output json")(list_drills)
    group.command("show", epilog="Example:\n\n  tiercli drill show provider-outage")(show_drill)
    group.command("run", epilog=_RUN_EPILOG)(run)
    drill_records.register(group)
    drill_bell.register(group)
    drill_blind.register(group)
    app.add_typer(group, name="drill")


_RUN_EPILOG = (
    "Examples:\n\n"
    "  tiercli drill run provider-outage\n\n"
    "  tiercli drill run provider-outage provider-degraded quiet\n\n"
    "  tiercli drill run --all --runs quarter-4\n\n"
    "  tiercli drill run my-drill --drills ./drills --catalog my.yaml --output json > result.json\n\n"
    "Exit code: 0 passed, 1 failed, 3 the environment failed and nothing was proven, 4 a fault may still be on, 130 Ctrl-C."
)


def list_drills(
    drills: Drills = None,
    output: Annotated[Literal["text", "json"], typer.Option("--output", help="How to print.")] = "text",
) -> None:
    """List the drills, what each is proof for, and how long it takes in a sandbox."""
    import json

    from rich.table import Table

    from tiercli.drills.spec_files import drill_files, load_drill
    from tiercli.durations import parse_duration

    rows = []
    for name, path in drill_files(drills or ()).items():
        spec, _ = load_drill(path)
        lengths = [spec.phases.steady, spec.phases.fault, spec.phases.recovery]
        seconds = sum(parse_duration(length) for length in lengths if length) / spec.factor
        rows.append(
            {"name": name, "alarms": list(spec.alarms), "seconds": round(seconds), "description": spec.description}
        )
    console = output_console()
    if output == "json":
        console.print_json(json.dumps(rows))
        return
    table = Table("drill", "proof for", "at most", "what happens", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        alarms = ", ".join(row["alarms"]) if isinstance(row["alarms"], list) else ""
        table.add_row(str(row["name"]), alarms or "silence", f"{row['seconds']} s", str(row["description"]))
    console.print(table)


def show_drill(
    name: Annotated[str, typer.Argument(help="A drill's name, or its file.")], drills: Drills = None
) -> None:
    """Print a drill's spec."""
    from rich.syntax import Syntax

    from tiercli.drills.spec_files import find_drill, load_drill

    path = find_drill(name, drills or ())
    load_drill(path)
    console = output_console()
    text = path.read_text(encoding="utf-8")
    if console.is_terminal:
        console.print(Syntax(text, "yaml", background_color="default", word_wrap=True))
    else:
        console.print(text, end="", markup=False)


def run(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Drills by name, or their files; run one after another.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every drill there is.")] = False,
    catalog: Catalog = None,
    drills: Drills = None,
    templates: Templates = None,
    runs: Annotated[Path, typer.Option("--runs", help="Where the folders of runs are kept.")] = Path("runs"),
    factor: Annotated[
        float | None, typer.Option("--factor", help="Compress time by this instead of the drill's own factor.", min=1)
    ] = None,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="A sandbox for each drill, where several could share one.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", help="Spread the load over so many workers of Locust.", min=0, max=64)
    ] = 0,
    parallel: Annotated[
        int | None,
        typer.Option(
            "--parallel", help="So many sandboxes at once: two, where there are two cores and this does not say.", min=1
        ),
    ] = None,
    output: Annotated[Literal["text", "json"], typer.Option("--output", help="What to print at the end.")] = "text",
) -> None:
    """Run drills in a sandbox: a real Prometheus and Alertmanager around a simulated estate, under load.

    Everything runs on loopback and ends with the command. Time is compressed by the drill's factor. Drills of the same factor,
    load and estate share a sandbox.
    """
    import asyncio
    import dataclasses
    import os

    from tiercli.drills.spec_files import drill_files
    from tiercli.errors import InvalidInput

    if every == bool(names):
        said = "--all is every drill there is" if every else "no drill is named"
        raise InvalidInput(said, hint="name drills (tiercli drill list), or give --all and no name")
    chosen = list(drill_files(drills or ())) if every else list(names or ())
    orders = _orders(chosen, catalog, drills or (), templates or (), runs, factor)
    orders = [dataclasses.replace(order, workers=workers) for order in orders]
    at_once = parallel or min(2, os.cpu_count() or 1)
    worst: int = asyncio.run(_run_all(orders, share=not isolated, parallel=at_once, output=output))
    raise typer.Exit(worst)


def _orders(
    names: Sequence[str],
    catalog: Path | None,
    drills: Sequence[Path],
    templates: Sequence[Path],
    runs: Path,
    factor: float | None,
) -> list[DrillOrder]:
    """What is to be run, checked. Raises InvalidInput with every problem of every drill."""
    from tiercli.catalog.loading import load_catalog
    from tiercli.drills.estate import build_estate
    from tiercli.drills.order import DrillOrder
    from tiercli.drills.spec_check import check_spec
    from tiercli.drills.spec_files import find_drill, load_drill
    from tiercli.errors import InvalidInput
    from tiercli.lint.catalog_checks import further_checks
    from tiercli.sandbox.binaries import find_stack

    loaded = load_catalog(catalog or default_catalog(), further_checks(templates))
    estates: dict[tuple[object, ...], Estate] = {}
    chosen, problems = [], []
    for name in names:
        spec, document = load_drill(find_drill(name, drills))
        key = (factor or spec.factor, spec.sandbox)
        if key not in estates:
            estates[key] = build_estate(loaded, factor or spec.factor, templates, spec.sandbox)
        problems += check_spec(spec, loaded.catalog, estates[key].alarms, document.locate)
        chosen.append((spec, estates[key]))
    if problems:
        raise InvalidInput(f"{', '.join(names)} cannot be run on {loaded.document.name}", problems)
    binaries = find_stack()
    return [DrillOrder(spec, estate, binaries, runs) for spec, estate in chosen]


async def _run_all(orders: Sequence[DrillOrder], *, share: bool, parallel: int, output: str) -> int:
    """Run them, print what came of each as it ends, and give the exit code."""
    from tiercli.drills.live_view import PlainView, TerminalView, summary_lines
    from tiercli.drills.records import Record
    from tiercli.drills.result import Outcome
    from tiercli.drills.result_json import encode_result
    from tiercli.drills.run_folder import REPORT, write_files
    from tiercli.drills.shared_runs import run_drills, shared_groups
    from tiercli.drills.summary import SUMMARY, render_summary
    from tiercli.errors import ExitCode

    errors, out = error_console(), output_console()

    several = parallel > 1 and len(shared_groups(orders) if share else orders) > 1

    def view_of(order: DrillOrder) -> TerminalView | PlainView:
        if several:
            return PlainView(errors, f"{order.spec.name}: ")
        return TerminalView(errors, order.spec) if errors.is_terminal else PlainView(errors)

    worst: int = ExitCode.OK
    records = []
    async for done in run_drills(orders, view_of, share=share, parallel=parallel):
        if output == "json":
            typer.echo(encode_result(done.result), nl=False)
        else:
            out.print()
            for line in summary_lines(done.result):
                out.print(line)
            out.print(f"report: {done.folder / REPORT}", markup=False)
        worst = worse(worst, exit_code_of(done))
        records.append(Record(done.folder, done.result))
    if len(records) > 1:
        write_files(records[0].folder.parent, {SUMMARY: render_summary(records)})
        passed = sum(record.result.outcome is Outcome.PASSED for record in records)
        errors.print(f"{passed} of {len(orders)} drills passed: {records[0].folder.parent / SUMMARY}", markup=False)
    return worst


def exit_code_of(done: DrillRun) -> int:
    """The exit code of a run; an error that the run met is told on the way."""
    from tiercli.cli.terminal import print_error
    from tiercli.errors import ExitCode

    if done.error is not None:
        print_error(done.error)
        return done.error.exit_code
    return ExitCode.INTERRUPTED if done.result.interrupted else done.result.outcome.exit_code


def worse(one: int, other: int) -> int:
    """The exit code that matters more: a fault that is still on, Ctrl-C, failed, nothing proven, all good."""
    order = [4, 130, 70, 1, 3, 0]
    return min(one, other, key=order.index)


def default_catalog() -> Path:
    """The catalog that comes with tiercli."""
    from tiercli.resources import resource_folder

    return resource_folder("catalogs") / DEFAULT_CATALOG
