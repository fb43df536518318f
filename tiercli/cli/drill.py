"""`tiercli drill list`, `show`, `init` and `schema`: fire drills, and who plays their roles on a catalog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.syntax import Syntax

from tiercli.catalog.loading import load_catalog
from tiercli.cli.drill_outcome import print_not_applicable, refuse_not_applicable
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, CatalogIfAny, Drills, Templates, TextOrJson
from tiercli.cli.terminal import error_console, output_console, plain_table, print_json
from tiercli.drills.record.run_folder import write_files
from tiercli.drills.spec.cast import Cast, cast_drills
from tiercli.drills.spec.files import drill_files, find_drill, load_drill
from tiercli.drills.spec.model import DrillSpec
from tiercli.durations import parse_duration
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.lint.catalog_checks import further_checks
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of


@examples(
    "tiercli drill list",
    "tiercli drill list --catalog my.yaml          (which apply there, and to whom)",
    "tiercli drill list --format json",
)
def list_drills(
    catalog: CatalogIfAny = None,
    drills: Drills = None,
    templates: Templates = None,
    form: TextOrJson = "text",
) -> None:
    """List the drills, the alarms that each proves, and how long it takes in a sandbox.

    With a catalog: whether each applies to it, and who plays its roles.
    """

    rows = []
    files = drill_files(drills or ())
    casts = _casts(catalog, list(files.values()), templates) if catalog is not None else {}
    for name, path in files.items():
        spec, _ = load_drill(path)
        lengths = [spec.phases.steady, spec.phases.fault, spec.phases.recovery]
        seconds = sum(parse_duration(length) for length in lengths if length) / spec.factor
        row: dict[str, Any] = {"name": name, "alarms": list(spec.alarms), "seconds": round(seconds)}
        row["description"] = spec.description
        if name in casts:
            row |= {"not_applicable": casts[name].not_applicable, "roles": casts[name].played}
        rows.append(row)
    console = output_console()
    if form == "json":
        print_json(rows)
        return
    table = plain_table("drill", "proof for", "at most", "who" if casts else "what happens")
    for row in rows:
        last = _who(casts[row["name"]]) if casts else row["description"]
        table.add_row(row["name"], ", ".join(row["alarms"]) or "silence", f"{row['seconds']} s", last)
    console.print(table)


@examples(
    "tiercli drill show provider-outage",
    "tiercli drill show provider-outage --catalog my.yaml      (with the names that play its roles)",
)
def show_drill(
    name: Annotated[str, typer.Argument(help="A drill's name, or its file.")],
    catalog: CatalogIfAny = None,
    drills: Drills = None,
    templates: Templates = None,
) -> None:
    """Print a drill's spec."""

    path = find_drill(name, drills or ())
    spec, _ = load_drill(path)
    text = path.read_text(encoding="utf-8")
    if catalog is not None:
        cast = _casts(catalog, [path], templates)[spec.name]
        refuse_not_applicable([cast])
        text = _with_names(cast)
    console = output_console()
    if console.is_terminal:
        console.print(Syntax(text, "yaml", background_color="default", word_wrap=True))
    else:
        console.print(text, end="", markup=False)


@examples(
    "tiercli drill init my.yaml --out drills      (then: tiercli drill run --all --drills drills --catalog my.yaml)",
)
def init_drills(
    catalog: CatalogFile,
    out: Annotated[Path, typer.Option("--out", help="Folder to write them to; files that are there stay.")] = Path(
        "drills"
    ),
    templates: Templates = None,
) -> None:
    """Write the drills that apply to a catalog to files, with its names in place of roles, to be edited."""

    casts = _casts(catalog, list(drill_files().values()), templates)
    written = {name: _with_names(cast) for name, cast in casts.items() if cast.not_applicable is None}
    there = [out / f"{name}.yaml" for name in written if (out / f"{name}.yaml").exists()]
    if there:
        problems = [Problem(Location(str(path)), "it is there already") for path in there]
        raise InvalidInput("no drill was written", problems, hint="choose another folder, or remove them first")
    write_files(out, {f"{name}.yaml": text for name, text in written.items()})
    print_not_applicable(casts.values())
    error_console().print(f"{len(written)} drills in {out}", markup=False)


@examples(
    "tiercli drill schema > drill.schema.json      (for an editor: # yaml-language-server: $schema=drill.schema.json)",
)
def schema() -> None:
    """Print the JSON Schema of a drill's file."""

    print_json(DrillSpec.model_json_schema(by_alias=True))


def _casts(catalog: Path, paths: Sequence[Path], templates: Sequence[Path] | None) -> dict[str, Cast]:
    """The drills on a catalog, by name."""
    loaded = load_catalog(catalog, further_checks(templates or ()))
    deployed = load_alarm_set(loaded, timing_of(loaded.catalog), templates or ())
    return {cast.spec.name: cast for cast in cast_drills(paths, loaded, deployed)}


def _who(cast: Cast) -> str:
    if cast.not_applicable is not None:
        return f"not applicable: {cast.not_applicable}"
    return "; ".join(f"{role}: {', '.join(names.values())}" for role, names in cast.played.items())


def _with_names(cast: Cast) -> str:
    """The drill's file with names; a comment says what roles they play."""
    content = cast.spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return "".join(_comments(cast)) + text


def _comments(cast: Cast) -> Iterator[str]:
    for role, names in cast.played.items():
        yield f"# {role}: {', '.join(names.values())}\n"
