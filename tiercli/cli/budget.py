"""`tiercli budget`: how many series the catalog allows, against its budgets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tiercli.cli.default_command import PlanByDefault
from tiercli.cli.terminal import output_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiercli.cardinality.budgets import Raised
    from tiercli.cardinality.estate import Estates
    from tiercli.cardinality.plan import Plan
    from tiercli.catalog.loading import LoadedCatalog
    from tiercli.lint.finding import Finding

_EPILOG = (
    "Examples:\n\n"
    "  tiercli budget catalogs/hybrid.yaml\n\n"
    "  tiercli budget my.yaml --set tenants=5000 --set features=300      (what if)\n\n"
    "  tiercli budget my.yaml --explain ai_gateway_cost_usd_total\n\n"
    "  tiercli budget my.yaml --against main/my.yaml --format github     (in CI: no budget raised without a reason)\n\n"
    "  tiercli budget my.yaml --prometheus http://prometheus.internal:9090\n\n"
    "  tiercli budget my.yaml --metrics http://gateway:9100/metrics      (in CI of an exporter)\n\n"
    "  tiercli budget my.yaml --format json | jq '.metrics[] | select(.within | not)'"
)
_MAP_EPILOG = "Examples:\n\n  tiercli budget tenant-map my.yaml > tenant-map.json\n\n  tiercli budget tenant-map my.yaml --format yaml"
Catalog = Annotated[
    Path, typer.Argument(metavar="CATALOG", help="The catalog file; - is standard input.", show_default=False)
]
Templates = Annotated[
    list[Path] | None,
    typer.Option("--templates", metavar="DIR", help="A folder of your own alarm files; may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    budget = typer.Typer(
        cls=PlanByDefault,
        help="Count the series that the catalog allows, against its budgets. `budget CATALOG` is `budget plan CATALOG`.",
        epilog=_EPILOG,
        no_args_is_help=True,
    )
    budget.command(epilog=_EPILOG)(plan)
    budget.command(name="tenant-map", epilog=_MAP_EPILOG)(write_tenant_map)
    app.add_typer(budget, name="budget")


def plan(
    catalog: Catalog,
    numbers: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="DIMENSION=N", help="What if there were so many tenants, features, aliases, instances."
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain", metavar="METRIC", help="Show the arithmetic of one metric, and who needs its labels."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="OLD", help="An older catalog: fail for a budget raised without a new reason."
        ),
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option("--prometheus", metavar="URL", help="Compare the plan with the series of a running Prometheus."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics", metavar="FILE|URL", help="Compare it with what one target exposes, before anything scrapes it."
        ),
    ] = None,
    form: Annotated[
        Literal["text", "json", "github", "sarif"],
        typer.Option("--format", help="A table, one JSON object, GitHub annotations, or SARIF."),
    ] = "text",
    templates: Templates = None,
) -> None:
    """Count the series that the catalog allows, per metric, against its budgets. Exit 1 when one is exceeded.

    Counted are the label sets that can occur: a model in the regions where it is offered, a tenant with its own
    features and the aliases that it may call; times buckets, times gateway instances; and what the rules record.
    """
    import dataclasses

    from tiercli.cardinality.budgets import raised_budgets
    from tiercli.cardinality.estate import Estates
    from tiercli.cardinality.plan import plan_series
    from tiercli.cardinality.what_if import read_numbers, scaled
    from tiercli.catalog.loading import load_catalog
    from tiercli.lint.catalog_checks import further_checks
    from tiercli.lint.rule_series import count_rule_series

    folders = templates or ()
    asked = read_numbers(numbers or [])
    loaded = load_catalog(catalog, further_checks(folders, with_cases=False))
    raised = list(raised_budgets(load_catalog(against).catalog, loaded.catalog)) if against is not None else []
    rules = count_rule_series(loaded, folders)
    counted = dataclasses.replace(loaded, catalog=scaled(loaded.catalog, asked))
    estates = Estates(counted.catalog)
    made = plan_series(counted.catalog, rules, estates)
    if prometheus is not None or metrics is not None:
        from tiercli.cli.budget_reality import compare_with

        compare_with(counted, made, prometheus, metrics, form)
        return
    if explain is not None:
        _explain(counted, made, explain, form, folders)
        return
    _print(counted, made, raised, form, estates)
    _judge(made, raised)


def write_tenant_map(
    catalog: Catalog,
    form: Annotated[Literal["json", "yaml"], typer.Option("--format", help="JSON or YAML.")] = "json",
) -> None:
    """Write the label values of grouped tenants for gateways: by metric, what each tenant that loses its own name becomes.

    A tenant that is not in it keeps its name. Add up where you count: a relabelling at the scrape that gives two series the
    same labels makes Prometheus drop one.
    """
    import json
    import sys

    import yaml

    from tiercli.catalog.loading import load_catalog
    from tiercli.lint.catalog_checks import further_checks
    from tiercli.signals.label_policy import metric_policies, tenant_map

    loaded = load_catalog(catalog, further_checks(with_cases=False))
    dropped = {
        name: [label for label in _contract_labels(name) if label not in policy.labels]
        for name, policy in metric_policies(loaded.catalog).items()
    }
    content = {
        "tenants": {name: dict(sorted(labels.items())) for name, labels in tenant_map(loaded.catalog).items()},
        "dropped_labels": {name: labels for name, labels in dropped.items() if labels},
    }
    if form == "json":
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))


def _contract_labels(name: str) -> tuple[str, ...]:
    from tiercli.signals.contract import METRICS_BY_NAME

    return METRICS_BY_NAME[name].labels


def _explain(loaded: LoadedCatalog, made: Plan, name: str, form: str, folders: Sequence[Path]) -> None:
    import json
    import sys

    from tiercli.cardinality.savings import Savings
    from tiercli.catalog.names import unknown_name
    from tiercli.cli.budget_view import explained_json, explained_lines
    from tiercli.errors import InvalidInput, Location
    from tiercli.lint.policy_checks import needed_labels
    from tiercli.rules.alarm_files import load_alarm_set
    from tiercli.rules.deployment import timing_of

    line = next((one for one in made.lines if one.name == name), None)
    if line is None:
        known = [one.name for one in made.lines]
        raise InvalidInput("nothing to explain", [unknown_name("metric", name, known, Location("--explain"))])
    needs = None
    if line.kind == "contract":
        needs = needed_labels(load_alarm_set(loaded, timing_of(loaded.catalog), folders), loaded)
    explanation = Savings(loaded.catalog, needs).explain(line)
    if form == "json":
        sys.stdout.write(json.dumps(explained_json(explanation), indent=2, ensure_ascii=False) + "\n")
        return
    for text in explained_lines(explanation):
        output_console().print(text, markup=False)


def _print(loaded: LoadedCatalog, made: Plan, raised: list[Raised], form: str, estates: Estates) -> None:
    import json
    import sys

    from tiercli.cardinality.plan import footprint
    from tiercli.cardinality.savings import Savings

    if form in ("github", "sarif"):
        from tiercli.lint.formats import as_github, as_sarif

        findings = list(_findings(loaded, made, raised))
        text = as_github(findings) if form == "github" else as_sarif(findings, ())
        sys.stdout.write(text + "\n" if text else "")
        return
    from tiercli.cli.budget_view import plan_json, print_plan

    savings, settings = Savings(loaded.catalog, estates=estates), loaded.catalog.prometheus
    cost = footprint(made, settings.scrape_interval, settings.evaluation_interval)
    if form == "json":
        sys.stdout.write(json.dumps(plan_json(made, savings, cost, raised), indent=2, ensure_ascii=False) + "\n")
        return
    print_plan(made, savings, cost, raised)


def _findings(loaded: LoadedCatalog, made: Plan, raised: list[Raised]) -> list[Finding]:
    from tiercli.cardinality.budgets import TOTAL_BUDGET
    from tiercli.cardinality.savings import Savings
    from tiercli.lint.finding import Finding, Severity

    def place(name: str) -> tuple[str, ...]:
        return ("cardinality", "total") if name == TOTAL_BUDGET else ("cardinality", "metrics", name)

    savings = Savings(loaded.catalog)
    found = []
    for line in made.breaches:
        at = loaded.document.locate(place(line.name), key=True)
        best = next((one for one in savings.savings(line) if one.possible), None)
        do = f"{best.kind} ({best.what}) saves {best.saves:,}" if best else "Allow fewer combinations in the catalog"
        said = f"{line.series:,} series of {line.budget.series if line.budget else 0:,}"
        found.append(Finding("budget/over", Severity.ERROR, at, line.name, said, f"{do}, or raise it with its reason"))
    if made.over:
        at = loaded.document.locate(place(TOTAL_BUDGET), key=True)
        largest = ", ".join(line.name for line in made.lines[:3])
        said = f"{made.series:,} series of {made.budget.series:,}"
        found.append(Finding("budget/over", Severity.ERROR, at, "all series", said, f"Largest are {largest}"))
    for one in raised:
        at = loaded.document.locate(place(one.name) if one.after is not None else ("cardinality", "metrics"), key=True)
        now = f"{one.after.series:,}" if one.after is not None else "nothing"
        severity = Severity.INFO if one.explained else Severity.ERROR
        said = f"raised from {one.before.series:,} to {now}"
        do = (
            f"Reason: {one.after.reason}" if one.after is not None and one.explained else "Say in `reason` what changed"
        )
        found.append(Finding("budget/raised", severity, at, one.name, said, do))
    return found


def _judge(made: Plan, raised: list[Raised]) -> None:
    from tiercli.errors import CheckFailed

    over = [
        f"{line.name}: {line.series} of {line.budget.series} ({line.budget.owner})"
        for line in made.breaches
        if line.budget
    ]
    over += [f"all: {made.series} of {made.budget.series} ({made.budget.owner})"] if made.over else []
    unexplained = [one.name for one in raised if not one.explained]
    said = []
    if over:
        said.append(f"{len(over)} series budget{'s' if len(over) > 1 else ''} exceeded: {'; '.join(over)}")
    if unexplained:
        said.append(f"raised without a new reason: {', '.join(unexplained)}")
    if said:
        raise CheckFailed(
            "; ".join(said), hint="allow fewer combinations in the catalog, or raise the budget with its reason"
        )
