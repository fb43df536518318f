"""Arguments and options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def _catalog_argument() -> Any:
    return typer.Argument(metavar="CATALOG", help="Catalog file; - reads standard input.", show_default=False)


def _format_option() -> Any:
    """`--output`, its name in earlier versions, still works: lazy_group.py."""
    return typer.Option("--format", help="Form of the output.")


CatalogFile = Annotated[Path, _catalog_argument()]
OptionalCatalogFile = Annotated[Path | None, _catalog_argument()]
# Where the catalog is an option: tiercli's own example without it, or required.
CatalogOption = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        "-c",
        metavar="CATALOG",
        envvar="TIERCLI_CATALOG",
        help="Catalog file. \\[default: tiercli's hybrid.yaml]",
    ),
]
CatalogIfAny = Annotated[
    Path | None,
    typer.Option("--catalog", "-c", metavar="CATALOG", envvar="TIERCLI_CATALOG", help="Catalog file."),
]
RequiredCatalog = Annotated[
    Path,
    typer.Option(
        "--catalog", "-c", metavar="CATALOG", envvar="TIERCLI_CATALOG", help="Catalog file.", show_default=False
    ),
]
FieldMapFile = Annotated[
    Path | None,
    typer.Option("--map", metavar="MAP", help="Field map of another export (CSV, JSON): a file, or litellm."),
]
Environment = Annotated[
    str,
    typer.Option("--env", metavar="NAME", help="Environment, one of the catalog's `environments`.", show_default=False),
]
Templates = Annotated[
    list[Path] | None,
    typer.Option("--templates", metavar="DIR", help="Folder with your own alarms and dashboards; may be repeated."),
]
Drills = Annotated[
    list[Path] | None, typer.Option("--drills", metavar="DIR", help="Folder with your own drills; may be repeated.")
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder that keeps the runs.")]

TextOrJson = Annotated[Literal["text", "json"], _format_option()]
TextJsonOrGithub = Annotated[Literal["text", "json", "github"], _format_option()]
TextOrGithub = Annotated[Literal["text", "github"], _format_option()]
TextJsonOrYaml = Annotated[Literal["text", "json", "yaml"], _format_option()]
TextCsvOrJson = Annotated[Literal["text", "csv", "json"], _format_option()]
JsonOrYaml = Annotated[Literal["json", "yaml"], _format_option()]
FindingsFormat = Annotated[Literal["text", "json", "github", "sarif"], _format_option()]
