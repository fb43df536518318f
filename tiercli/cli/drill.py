"""`tiercli drill`: fire drills, and what came of them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.syntax import Syntax

from tiercli.cli.lazy_group import examples
from tiercli.cli.options import Drills, TextOrJson
from tiercli.cli.terminal import output_console, plain_table, print_json
from tiercli.drills.spec.files import drill_files, find_drill, load_drill
from tiercli.durations import parse_duration


@examples(
    "tiercli drill list --format json",
)
def list_drills(
    drills: Drills = None,
    form: TextOrJson = "text",
) -> None:
    """List the drills, the alarms that each proves, and how long it takes in a sandbox."""

    rows = []
    for name, path in drill_files(drills or ()).items():
        spec, _ = load_drill(path)
        lengths = [spec.phases.steady, spec.phases.fault, spec.phases.recovery]
        seconds = sum(parse_duration(length) for length in lengths if length) / spec.factor
        rows.append(
            {"name": name, "alarms": list(spec.alarms), "seconds": round(seconds), "description": spec.description}
        )
    console = output_console()
    if form == "json":
        print_json(rows)
        return
    table = plain_table("drill", "proof for", "at most", "what happens")
    for row in rows:
        alarms = ", ".join(row["alarms"]) if isinstance(row["alarms"], list) else ""
        table.add_row(str(row["name"]), alarms or "silence", f"{row['seconds']} s", str(row["description"]))
    console.print(table)


@examples(
    "tiercli drill show provider-outage",
)
def show_drill(
    name: Annotated[str, typer.Argument(help="A drill's name, or its file.")], drills: Drills = None
) -> None:
    """Print a drill's spec."""

    path = find_drill(name, drills or ())
    load_drill(path)
    console = output_console()
    text = path.read_text(encoding="utf-8")
    if console.is_terminal:
        console.print(Syntax(text, "yaml", background_color="default", word_wrap=True))
    else:
        console.print(text, end="", markup=False)
