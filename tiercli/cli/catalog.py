"""`tiercli catalog`: begin, check, show and describe a catalog."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tiercli.catalog.draft import draft_text, starter_text
from tiercli.catalog.export import build_schema, dump_catalog
from tiercli.catalog.loading import load_catalog
from tiercli.cli.catalog_view import catalog_view
from tiercli.cli.lazy_group import examples
from tiercli.cli.terminal import output_console
from tiercli.clients.discovery import fetch_estate
from tiercli.errors import InvalidInput, Problem
from tiercli.lint.catalog_checks import further_checks

_CATALOG = Annotated[
    Path, typer.Argument(metavar="CATALOG", help="The catalog file; - is standard input.", show_default=False)
]


@examples(
    "tiercli catalog init my.yaml",
    "tiercli catalog init my.yaml --from-prometheus http://localhost:9090 --source native",
)
def init(
    path: Annotated[Path, typer.Argument(help="The file to write; - is standard output.")] = Path("catalog.yaml"),
    from_prometheus: Annotated[
        str | None,
        typer.Option("--from-prometheus", metavar="URL", help="Draft it from what this Prometheus already sees."),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", metavar="NAME", help="The binding that says which metrics to read there.")
    ] = "native",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
) -> None:
    """Write a small catalog to begin with, or a draft from a running Prometheus with every guess marked.

    What a draft cannot know (owners, prices, budgets, zones, tiers) is filled in and marked "# guess:".
    """

    text = starter_text() if from_prometheus is None else draft_text(asyncio.run(fetch_estate(from_prometheus, source)))
    if str(path) == "-":
        typer.echo(text, nl=False)
        return
    try:
        with path.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        hint = "--force overwrites it; another name leaves it alone"
        raise InvalidInput(f"{path} is there already", hint=hint) from error
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror or error}") from error
    guesses = text.count("# guess:")
    note = f"; look at its {guesses} guesses" if guesses else ""
    output_console().print(f"wrote {path}{note}, then: tiercli catalog validate {path}", markup=False)


@examples(
    "tiercli catalog validate my.yaml",
    "tiercli catalog validate my.yaml --format github      (annotations in CI)",
)
def validate(
    catalog: _CATALOG,
    form: Annotated[
        Literal["text", "json", "github"],
        typer.Option("--format", help="How to say it: lines, one JSON object, or annotations for GitHub."),
    ] = "text",
    templates: Annotated[
        list[Path] | None,
        typer.Option("--templates", metavar="DIR", help="A folder of your own alarm files; may be repeated."),
    ] = None,
) -> None:
    """Check a catalog whole: its shape, every reference in it, zones, prices, budgets, and what it says of alarms.

    Everything found wrong is reported at once with file, line and column. Exit code 2 when anything is.
    """

    try:
        loaded = load_catalog(catalog, further_checks(templates or ()))
    except InvalidInput as error:
        if form == "text" or not error.problems:
            raise
        if form == "json":
            problems = [_as_json(problem) for problem in error.problems]
            sys.stdout.write(json.dumps({"valid": False, "problems": problems}, indent=2, ensure_ascii=False) + "\n")
        else:
            sys.stdout.writelines(f"{_annotation(problem)}\n" for problem in error.problems)
        raise typer.Exit(error.exit_code) from error
    if form == "json":
        sys.stdout.write(json.dumps({"valid": True, "problems": []}, indent=2) + "\n")
    elif form == "text":
        known = loaded.catalog
        counts = (
            _count(known.providers, "provider"),
            _count(known.aliases, "alias", "aliases"),
            _count(known.tenants, "tenant"),
            _count(list(known.offers()), "offer"),
        )
        output_console().print(f"{catalog}: valid ({', '.join(counts)})", markup=False)


@examples(
    "tiercli catalog show my.yaml",
    "tiercli catalog show my.yaml --output json | jq .aliases",
)
def show(
    catalog: _CATALOG,
    output: Annotated[
        Literal["text", "json", "yaml"], typer.Option("--output", help="For reading, or whole for a program.")
    ] = "text",
) -> None:
    """Show what a catalog says, defaults filled in."""

    known = load_catalog(catalog).catalog
    if output == "text":
        output_console().print(catalog_view(known))
        return
    if output == "json":
        resolved = known.model_dump(mode="json", by_alias=True, exclude_none=True)
        sys.stdout.write(json.dumps(resolved, indent=2, ensure_ascii=False) + "\n")
        return

    sys.stdout.write(dump_catalog(known))


@examples(
    "tiercli catalog schema > catalog.schema.json",
)
def schema() -> None:
    """Print the JSON Schema of catalogs: completion and checks as you type, in any editor that reads one."""

    sys.stdout.write(json.dumps(build_schema(), indent=2) + "\n")


def _count(things: object, one: str, many: str = "") -> str:
    count = len(things)  # type: ignore[arg-type]
    return f"{count} {one if count == 1 else many or one + 's'}"


def _as_json(problem: Problem) -> dict[str, str | int]:
    place = problem.location
    where: dict[str, str | int] = {"file": place.file, "line": place.line, "column": place.column}
    return {**where, "found": problem.found, "accepted": problem.accepted, "suggestion": problem.suggestion}


def _annotation(problem: Problem) -> str:
    """A problem as a workflow command of GitHub Actions, which has escapes of its own."""
    place = problem.location
    said = str(problem).removeprefix(f"{place}: ")
    where = {"file": place.file, "line": place.line, "col": place.column}
    parts = ",".join(f"{key}={_escaped(str(value), ',:')}" for key, value in where.items() if value)
    return f"::error {parts}::{_escaped(said)}"


def _escaped(text: str, also: str = "") -> str:
    for char in "%\r\n" + also:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
