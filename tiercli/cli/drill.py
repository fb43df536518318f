"""`tiercli drill`: fire drills, and what came of them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tiercli.cli import drill_bell, drill_blind, drill_records, drill_run, drill_worker
from tiercli.cli.drill_run import Drills
from tiercli.cli.terminal import output_console


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(
        help="Fire drills: prove that the right alarm fires, in time, and reaches the right people.",
        no_args_is_help=True,
    )
    group.command("list", epilog="Example:\n\n  tiercli drill list --output json")(list_drills)
    group.command("show", epilog="Example:\n\n  tiercli drill show provider-outage")(show_drill)
    drill_run.register(group)
    drill_records.register(group)
    drill_bell.register(group)
    drill_worker.register(group)
    drill_blind.register(group)
    app.add_typer(group, name="drill")


def list_drills(
    drills: Drills = None,
    output: Annotated[Literal["text", "json"], typer.Option("--output", help="How to print.")] = "text",
) -> None:
    """List the drills, what each is proof for, and how long it takes in a sandbox."""
    import json

    from rich.table import Table

    from tiercli.drills.spec.files import drill_files, load_drill
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

    from tiercli.drills.spec.files import find_drill, load_drill

    path = find_drill(name, drills or ())
    load_drill(path)
    console = output_console()
    text = path.read_text(encoding="utf-8")
    if console.is_terminal:
        console.print(Syntax(text, "yaml", background_color="default", word_wrap=True))
    else:
        console.print(text, end="", markup=False)
