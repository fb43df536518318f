"""`tiercli budget`: how many series the estate makes, against its budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tiercli.cli.terminal import output_console


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(epilog="Example:\n\n  tiercli budget catalogs/hybrid.yaml --format json")(budget)


def budget(
    catalog: Annotated[Path, typer.Argument(help="The catalog file; - is standard input.", show_default=False)],
    output: Annotated[Literal["text", "json"], typer.Option("--format", help="How to print it.")] = "text",
    show_all: Annotated[bool, typer.Option("--all", help="Every metric, the small ones too.")] = False,
) -> None:
    """Count the series that the catalog allows, metric by metric. Exit 1 when a budget is exceeded."""
    import json

    from rich.table import Table

    from tiercli.cardinality.plan import judge_budgets
    from tiercli.catalog.loading import load_catalog
    from tiercli.errors import CheckFailed, InvalidInput
    from tiercli.signals.expressions import check_budget_names

    loaded = load_catalog(catalog)
    problems = check_budget_names(loaded)
    if problems:
        raise InvalidInput(f"{catalog}: budgets of unknown metrics", problems)
    verdict = judge_budgets(loaded.catalog)
    if output == "json":
        rows = [
            {
                "metric": line.plan.name,
                "labels": list(line.plan.labels),
                "series": line.plan.series,
                "budget": line.budget.series if line.budget else None,
                "recorded": line.plan.recorded,
                "over": line.over,
            }
            for line in verdict.lines
        ]
        content = {"total": verdict.total, "budget": verdict.budget.series, "over": list(verdict.over), "metrics": rows}
        typer.echo(json.dumps(content, indent=2))
    else:
        table = Table("metric", "labels", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for column in ("series", "share", "budget"):
            table.add_column(column, justify="right")
        shown = [line for line in verdict.lines if show_all or line.budget or line.plan.series * 50 >= verdict.total]
        for line in shown:
            style = "red" if line.over else ""
            share = f"{line.plan.series / verdict.total:.1%}"
            limit = str(line.budget.series) if line.budget else ""
            table.add_row(line.plan.name, ", ".join(line.plan.labels), str(line.plan.series), share, limit, style=style)
        rest = len(verdict.lines) - len(shown)
        if rest:
            left = verdict.total - sum(line.plan.series for line in shown)
            table.add_row(f"[dim]{rest} more (--all)[/]", "", str(left), f"{left / verdict.total:.1%}", "")
        table.add_row("[bold]total[/]", "", f"[bold]{verdict.total}[/]", "100%", str(verdict.budget.series))
        output_console().print(table)
    if verdict.over:
        raise CheckFailed("over budget", details=verdict.over, hint="drop a label, or raise the budget with a reason")
