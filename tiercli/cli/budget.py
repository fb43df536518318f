"""`tiercli budget`: how many series the catalog allows, against its budgets."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml

from tiercli.cardinality.budgets import raised_budgets
from tiercli.cardinality.estate import Estates
from tiercli.cardinality.plan import Plan, plan_series
from tiercli.cardinality.savings import Savings
from tiercli.cardinality.what_if import read_numbers, scaled
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.catalog.names import unknown_name
from tiercli.cli.budget_fix import show_fix
from tiercli.cli.budget_reality import compare_with
from tiercli.cli.budget_view import explained_json, explained_lines, judge, show_plan
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, FindingsFormat, JsonOrYaml, Templates
from tiercli.cli.terminal import output_console, print_json
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.policy_checks import needed_labels
from tiercli.lint.rule_series import count_rule_series
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.signals.contract import METRICS_BY_NAME
from tiercli.signals.label_policy import metric_policies, tenant_map


@examples(
    "tiercli budget catalogs/hybrid.yaml",
    "tiercli budget my.yaml --set tenants=5000 --set features=300      (what if)",
    "tiercli budget my.yaml --explain ai_gateway_cost_usd_total",
    "tiercli budget my.yaml --fix                                      (what to drop at the scrape)",
    "tiercli budget my.yaml --against main/my.yaml --format github     (in CI: no budget raised without a reason)",
    "tiercli budget my.yaml --prometheus http://prometheus.internal:9090",
    "tiercli budget my.yaml --metrics http://gateway:9100/metrics      (in CI of an exporter)",
    "tiercli budget my.yaml --format json | jq '.metrics[] | select(.within | not)'",
)
def plan_command(
    catalog: CatalogFile,
    numbers: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="DIMENSION=N", help="Count as if there were N tenants, features, aliases or instances."
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="METRIC",
            help="Show how the series of one metric are counted, and what needs its labels.",
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="OLD", help="An older catalog. Fails where a budget was raised without a new reason."
        ),
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option("--prometheus", metavar="URL", help="Compare the plan with the series in a running Prometheus."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="FILE|URL",
            help="Compare the plan with what one target exposes, before Prometheus scrapes it.",
        ),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Print the fewest metrics to drop at the scrape, as YAML for the catalog, that make all budgets hold. Exit 1 "
            "when what rules and panels read is too much.",
        ),
    ] = False,
    every_row: Annotated[bool, typer.Option("--all", help="Show all rows of the table, not the largest only.")] = False,
    form: FindingsFormat = "text",
    templates: Templates = None,
) -> None:
    """Count the series that the catalog allows, per metric, against its budgets. Exit 1 when one is exceeded.

    The count covers the label sets that can occur: a model in the regions where it is offered, a tenant with its own
    features and the aliases that it may call. It multiplies them by buckets and by gateway instances, and adds the
    series that the rules record.
    """

    folders = templates or ()
    if fix and (others := _given(explain=explain, against=against, prometheus=prometheus, metrics=metrics)):
        raise InvalidInput(f"--fix and {' and '.join(others)} cannot be used together", hint="use one of them")
    scale = read_numbers(numbers or [])
    loaded = load_catalog(catalog, further_checks(folders, with_cases=False))
    raised = list(raised_budgets(load_catalog(against).catalog, loaded.catalog)) if against is not None else []
    rules = count_rule_series(loaded, folders)
    counted = dataclasses.replace(loaded, catalog=scaled(loaded.catalog, scale))
    estates = Estates(counted.catalog)
    plan = plan_series(counted.catalog, rules, estates)
    if prometheus is not None or metrics is not None:
        compare_with(counted, plan, prometheus, metrics, form, every_row=every_row)
        return
    if fix:
        show_fix(loaded, counted, plan, rules, form, folders)
        return
    if explain is not None:
        _explain(counted, plan, explain, form, folders)
        return
    show_plan(counted, plan, raised, form, estates, every_row=every_row)
    judge(plan, raised)


@examples(
    "tiercli budget tenant-map my.yaml > tenant-map.json",
    "tiercli budget tenant-map my.yaml --format yaml",
)
def write_tenant_map(
    catalog: CatalogFile,
    form: JsonOrYaml = "json",
) -> None:
    """Write the label values of grouped tenants for gateways: by metric, the value for each tenant that loses its own name.

    Tenants that are not listed keep their name. Let the gateway use these values when it counts. Do not relabel at the
    scrape: where two series get the same labels, Prometheus drops one.
    """

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
        print_json(content)
    else:
        sys.stdout.write(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))


def _given(**options: object) -> list[str]:
    return [f"--{name}" for name, value in options.items() if value is not None]


def _contract_labels(name: str) -> tuple[str, ...]:

    return METRICS_BY_NAME[name].labels


def _explain(loaded: LoadedCatalog, plan: Plan, name: str, form: str, folders: Sequence[Path]) -> None:

    line = next((line for line in plan.lines if line.name == name), None)
    if line is None:
        if name in plan.dropped:
            raise InvalidInput(
                "nothing to explain", [Problem(Location("--explain"), f"{name} is dropped at the scrape")]
            )
        known = [line.name for line in plan.lines]
        raise InvalidInput("nothing to explain", [unknown_name("metric", name, known, Location("--explain"))])
    needs = None
    if line.kind == "contract":
        needs = needed_labels(load_alarm_set(loaded, timing_of(loaded.catalog), folders), loaded)
    explanation = Savings(loaded.catalog, needs).explain(line)
    if form == "json":
        print_json(explained_json(explanation))
        return
    for text in explained_lines(explanation):
        output_console().print(text, markup=False)
