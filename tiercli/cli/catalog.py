"""`tiercli catalog`: begin, check, show and describe a catalog."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from tiercli.catalog.draft import draft_text, starter_text
from tiercli.catalog.export import build_schema, dump_catalog
from tiercli.catalog.loading import load_catalog
from tiercli.cli.catalog_view import catalog_view
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, Templates, TextJsonOrGithub, TextJsonOrYaml
from tiercli.cli.terminal import output_console, plural, print_json
from tiercli.clients.discovery import fetch_estate
from tiercli.errors import InvalidInput, Problem
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.formats import github_annotation
from tiercli.lint.receiver_checks import check_receivers


@examples(
    "tiercli catalog init my.yaml",
    "tiercli catalog init my.yaml --from-prometheus http://localhost:9090 --source native",
)
def init(
    path: Annotated[Path, typer.Argument(help="File to write; - writes standard output.")] = Path("catalog.yaml"),
    from_prometheus: Annotated[
        str | None,
        typer.Option("--from-prometheus", metavar="URL", help="Draft it from the series of this Prometheus."),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", metavar="NAME", help="Source binding that names the metrics to read.")
    ] = "native",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a small catalog to start from, or a draft from a running Prometheus with every guess marked.

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
        raise InvalidInput(f"{path} exists already", hint=hint) from error
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
    catalog: CatalogFile,
    form: TextJsonOrGithub = "text",
    templates: Templates = None,
) -> None:
    """Check a whole catalog: its shape, every reference in it, zones, prices, budgets, and its settings of
    alarms.

    All problems are reported at once with file, line and column. Exit 2 if there are any. Receivers under `raw`
    are checked by amtool, if it is installed.
    """

    try:
        loaded = load_catalog(catalog, (*further_checks(templates or ()), check_receivers))
    except InvalidInput as error:
        if form == "text" or not error.problems:
            raise
        if form == "json":
            problems = [_as_json(problem) for problem in error.problems]
            print_json({"valid": False, "problems": problems})
        else:
            sys.stdout.writelines(f"{_annotation(problem)}\n" for problem in error.problems)
        raise typer.Exit(error.exit_code) from error
    if form == "json":
        print_json({"valid": True, "problems": []})
    elif form == "text":
        known = loaded.catalog
        counts = (
            plural(len(known.providers), "provider"),
            plural(len(known.aliases), "alias", "aliases"),
            plural(len(known.tenants), "tenant"),
            plural(len(list(known.offers())), "offer"),
        )
        output_console().print(f"{catalog}: valid ({', '.join(counts)})", markup=False)


@examples(
    "tiercli catalog show my.yaml",
    "tiercli catalog show my.yaml --format json | jq .aliases",
)
def show(
    catalog: CatalogFile,
    form: TextJsonOrYaml = "text",
) -> None:
    """Print a catalog with its defaults filled in."""

    known = load_catalog(catalog).catalog
    if form == "text":
        output_console().print(catalog_view(known))
        return
    if form == "json":
        resolved = known.model_dump(mode="json", by_alias=True, exclude_none=True)
        print_json(resolved)
        return

    sys.stdout.write(dump_catalog(known))


@examples(
    "tiercli catalog schema > catalog.schema.json",
)
def schema() -> None:
    """Print the JSON Schema of catalogs. Editors that read it complete and check as you type."""

    print_json(build_schema())


def _as_json(problem: Problem) -> dict[str, str | int]:
    place = problem.location
    where: dict[str, str | int] = {"file": place.file, "line": place.line, "column": place.column}
    return {**where, "found": problem.found, "accepted": problem.accepted, "suggestion": problem.suggestion}


def _annotation(problem: Problem) -> str:
    """A problem as a workflow command of GitHub Actions."""
    message = str(problem).removeprefix(f"{problem.location}: ")
    return github_annotation("error", message, place=problem.location)
