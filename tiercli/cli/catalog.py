"""`tiercli catalog`: what the estate is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tiercli.cli.terminal import output_console

CatalogFile = Annotated[Path, typer.Argument(help="The catalog file; - is standard input.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(help="The catalog: providers, regions, models, aliases, tenants.", no_args_is_help=True)
    group.command("init", epilog=_INIT_EPILOG)(init)
    group.command("validate", epilog="Example:\n\n  tiercli catalog validate catalogs/hybrid.yaml --format github")(
        validate
    )
    group.command("show", epilog="Example:\n\n  tiercli catalog show catalogs/hybrid.yaml --output json")(show)
    group.command("schema", epilog="Example:\n\n  tiercli catalog schema > catalog.schema.json")(schema)
    app.add_typer(group, name="catalog")


_INIT_EPILOG = (
    "Examples:\n\n"
    "  tiercli catalog init --out catalog.yaml\n\n"
    "  tiercli catalog init --from-prometheus http://localhost:9090 --source native --out catalog.yaml"
)


def init(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; - is standard output.")] = Path(
        "catalog.yaml"
    ),
    from_prometheus: Annotated[
        str | None,
        typer.Option("--from-prometheus", metavar="URL", help="Draft it from what a running Prometheus sees."),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="The source binding that knows the metrics there.")
    ] = "native",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a first catalog: a small one that is valid, or a draft of what Prometheus already sees, its guesses marked."""
    import asyncio

    from tiercli.catalog.draft import starter_catalog
    from tiercli.errors import BackendError, InvalidInput, Location, Problem
    from tiercli.output.discovery import draft_from_prometheus

    if str(out) != "-" and out.exists() and not force:
        place = Location(str(out))
        raise InvalidInput(f"{out} is there already", [Problem(place, "it exists", "another --out, or --force")])
    text = starter_catalog() if from_prometheus is None else asyncio.run(draft_from_prometheus(from_prometheus, source))
    if str(out) == "-":
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BackendError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
    guesses = text.count("# guess")
    said = f", {guesses} guesses in it marked `# guess`" if guesses else ""
    output_console().print(f"wrote {out}{said}; next: tiercli catalog validate {out}", markup=False)


def validate(
    catalog: CatalogFile,
    output: Annotated[
        Literal["text", "json", "github"], typer.Option("--format", help="How to say what is wrong.")
    ] = "text",
) -> None:
    """Check a catalog. Every problem at once, each with file, line and column; exit code 2 when there is one."""
    import json

    from tiercli.catalog.loading import load_catalog
    from tiercli.errors import ExitCode, InvalidInput
    from tiercli.rules.alarm_files import load_alarms
    from tiercli.rules.deployment import timing_of
    from tiercli.signals.bindings import load_binding

    try:
        loaded = load_catalog(catalog)
        load_binding(loaded.catalog.gateway.binding, loaded.document.locate(("gateway", "binding")))
        load_alarms(loaded, timing_of(loaded.catalog))
    except InvalidInput as error:
        if output == "text":
            raise
        for problem in error.problems:
            at = problem.location
            if output == "github":
                message = str(problem).removeprefix(f"{at}: ").replace("%", "%25").replace("\n", "%0A")
                typer.echo(f"::error file={at.file},line={at.line},col={at.column}::{message}")
        if output == "json":
            problems = [
                {
                    "file": problem.location.file,
                    "line": problem.location.line,
                    "column": problem.location.column,
                    "found": problem.found,
                    "accepted": problem.accepted,
                    "suggestion": problem.suggestion,
                }
                for problem in error.problems
            ]
            typer.echo(json.dumps({"valid": False, "problems": problems}, indent=2, ensure_ascii=False))
        raise typer.Exit(ExitCode.INVALID_INPUT) from error
    if output == "json":
        typer.echo(json.dumps({"valid": True, "problems": []}, indent=2))
        return
    told = loaded.catalog
    offers = len(list(told.offers()))
    output_console().print(
        f"{catalog}: {told.estate} / {told.env} is valid: {len(told.providers)} providers, {offers} offers, "
        f"{len(told.aliases)} aliases, {len(told.tenants)} tenants",
        markup=False,
    )


def show(
    catalog: CatalogFile,
    output: Annotated[Literal["text", "json"], typer.Option("--output", help="How to print it.")] = "text",
) -> None:
    """Show what a catalog says: tiers, regions, models, aliases with their fallbacks, tenants."""
    from rich.markup import escape
    from rich.table import Table

    from tiercli.catalog.loading import load_catalog

    told = load_catalog(catalog).catalog
    console = output_console()
    if output == "json":
        typer.echo(told.model_dump_json(indent=2, by_alias=True, exclude_none=True))
        return
    console.print(f"[bold]{told.estate}[/] / {told.env}")
    providers = Table(
        "provider", "tier", "region", "model", "servers", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )
    for offer in told.offers():
        provider = told.providers[offer.provider]
        servers = ", ".join(name for name, server in provider.servers.items() if server.region == offer.region)
        providers.add_row(
            *(escape(text) for text in (offer.provider, provider.tier, offer.region, offer.model, servers))
        )
    console.print("\n", providers)
    aliases = Table("alias", "owner", "candidates, in order", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name, alias in told.aliases.items():
        steps = " → ".join(f"{one.provider}/{one.region}" for one in alias.candidates)
        aliases.add_row(escape(name), alias.owner, escape(steps))
    console.print("\n", aliases)
    tenants = Table(
        "tenant", "budget a month", "zone", "aliases", "features", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )
    for name, tenant in told.tenants.items():
        row = (
            name,
            f"${tenant.budget_usd_per_month:,.0f}",
            tenant.zone,
            ", ".join(told.tenant_aliases(tenant)),
            ", ".join(tenant.features),
        )
        tenants.add_row(*(escape(text) for text in row))
    console.print("\n", tenants)


def schema() -> None:
    """Print the catalog's JSON Schema, for editors."""
    import json

    from tiercli.catalog.schema import build_schema

    typer.echo(json.dumps(build_schema(), indent=2, ensure_ascii=False))
