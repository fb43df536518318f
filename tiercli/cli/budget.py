"""`tiercli budget`: how many series the catalog allows, against its budgets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tiercli.cli.terminal import output_console

if TYPE_CHECKING:
    from rich.table import Table

    from tiercli.cardinality.plan import Line, Plan
    from tiercli.catalog.model import SeriesBudget

_EPILOG = (
    "Examples:\n\n"
    "  tiercli budget catalogs/hybrid.yaml\n\n"
    "  tiercli budget my.yaml --format json | jq '.metrics[] | select(.within | not)'"
)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(epilog=_EPILOG)(budget)


def budget(
    catalog: Annotated[
        Path, typer.Argument(metavar="CATALOG", help="The catalog file; - is standard input.", show_default=False)
    ],
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="A table, or one JSON object.")] = "text",
    templates: Annotated[
        list[Path] | None,
        typer.Option("--templates", metavar="DIR", help="A folder of your own alarm files; may be repeated."),
    ] = None,
) -> None:
    """Count the series that the catalog allows, per metric, against its budgets. Exit 1 when one is exceeded.

    Counted are the label sets that can occur: a model in the regions where it is offered, a tenant with its own
    features and the aliases that it may call; times buckets, times gateway instances; and what the rules record.
    """
    import json
    import sys

    from tiercli.cardinality.plan import plan_series
    from tiercli.catalog.loading import load_catalog
    from tiercli.errors import CheckFailed
    from tiercli.lint.catalog_checks import further_checks
    from tiercli.lint.rule_series import count_rule_series

    folders = templates or ()
    loaded = load_catalog(catalog, further_checks(folders, with_cases=False))
    plan = plan_series(loaded.catalog, count_rule_series(loaded, folders))
    if form == "json":
        sys.stdout.write(json.dumps(_as_json(plan), indent=2, ensure_ascii=False) + "\n")
    else:
        output_console().print(_table(plan))
    if not plan.within:
        over = [f"{line.name}: {line.series} of {_of(line.budget)}" for line in plan.breaches]
        over += [f"all: {plan.series} of {_of(plan.budget)}"] if plan.over else []
        raise CheckFailed(
            f"{len(over)} series budget{'s' if len(over) > 1 else ''} exceeded: {'; '.join(over)}",
            hint="allow fewer combinations in the catalog, or raise the budget with its reason",
        )


def _of(budget: SeriesBudget | None) -> str:
    return f"{budget.series} ({budget.owner})" if budget is not None else ""


def _table(plan: Plan) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("metric", no_wrap=True)
    table.add_column("labels", overflow="fold")
    for column in ("series", "budget", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in plan.lines:
        table.add_row(*(Text(cell) for cell in _row(line)), style="red" if line.over else None)
    share = f"{plan.series / plan.budget.series:.0%}"
    table.add_row("all", "", f"{plan.series:,}", f"{plan.budget.series:,}", share, style="red" if plan.over else "bold")
    return table


def _row(line: Line) -> tuple[str, ...]:
    if line.budget is None:
        return line.name, ", ".join(line.labels), f"{line.series:,}", "", ""
    share = f"{line.series / line.budget.series:.0%}{' over' if line.over else ''}"
    return line.name, ", ".join(line.labels), f"{line.series:,}", f"{line.budget.series:,}", share


def _as_json(plan: Plan) -> dict[str, object]:
    return {
        "series": plan.series,
        "budget": plan.budget.model_dump(mode="json"),
        "within": plan.within,
        "metrics": [
            {
                "metric": line.name,
                "kind": line.kind,
                "labels": list(line.labels),
                "label_sets": line.label_sets,
                "series_per_label_set": line.series_per_set,
                "instances": line.instances,
                "series": line.series,
                "budget": None if line.budget is None else line.budget.model_dump(mode="json"),
                "within": not line.over,
            }
            for line in plan.lines
        ],
    }
