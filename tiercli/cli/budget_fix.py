"""`tiercli budget --fix`: the fewest metrics to drop at the scrape so that the series fit their budgets."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tiercli.cardinality.dropping import fewest_drops, with_drops
from tiercli.cardinality.plan import Line, Plan, RuleSeries, plan_series
from tiercli.catalog.loading import LoadedCatalog
from tiercli.cli.terminal import print_json
from tiercli.errors import CheckFailed, InvalidInput
from tiercli.lint.drop_checks import check_drops, metric_readers
from tiercli.lint.metric_readers import MetricReaders
from tiercli.lint.policy_checks import listed_names


def show_fix(
    loaded: LoadedCatalog, counted: LoadedCatalog, plan: Plan, rules: RuleSeries, form: str, folders: Sequence[Path]
) -> None:
    """Print `cardinality.drop` for a catalog whose series, those of `counted`, are then within their budgets: YAML, or JSON. Raises
    CheckFailed where that is not enough."""
    if form not in ("text", "json"):
        raise InvalidInput(f"--fix has no output in the form {form}", hint="use text, which is YAML, or json")
    readers = metric_readers(loaded, folders)
    drops = fewest_drops(plan, frozenset(readers.unread))
    names = [line.name for line in drops]
    after = plan_series(with_drops(counted.catalog, names), rules)
    proposed = dataclasses.replace(loaded, catalog=with_drops(loaded.catalog, names))
    if not after.within:
        raise CheckFailed(
            f"only metrics that are needed are left: {'; '.join(_what_is_left(after, drops, readers))}",
            hint="allow fewer combinations in the catalog, group tenants or drop labels with cardinality.policy (--explain METRIC "
            "says what that saves), or raise the budget with its reason",
        )
    if problems := check_drops(proposed, folders):
        raise InvalidInput("what is already dropped cannot be", problems)
    if form == "json":
        print_json(_as_json(proposed, plan, after, drops))
    else:
        sys.stdout.write("".join(f"{text}\n" for text in _as_yaml(proposed, plan, after, drops)))


def _what_is_left(after: Plan, drops: Sequence[Line], readers: MetricReaders) -> Iterator[str]:
    """What is still over its budget, and who needs it."""
    for line in after.breaches:
        if line.budget is not None:
            users = readers.of(line.name)
            why = f", read by {listed_names(users)}" if users else ", which rules record" * (line.kind == "recorded")
            yield f"{line.name} has {line.series:,} series of {line.budget.series:,}{why}"
    if after.over:
        without = f" without the {len(drops)} that nothing reads" if drops else ""
        yield f"all together have {after.series:,} series of {after.budget.series:,}{without}"


def _as_yaml(proposed: LoadedCatalog, plan: Plan, after: Plan, drops: Sequence[Line]) -> Iterator[str]:
    """Lines to paste below `cardinality:`, with its indentation; those that are there already are repeated."""
    drop, indent = proposed.catalog.cardinality.drop, " " * _indent(proposed)
    if not drops:
        yield f"# Nothing more to drop: {plan.series:,} series of {plan.budget.series:,}, and no metric is over its budget."
        return
    yield (
        f"{indent}# Below cardinality, in place of drop if it is there: {plan.series - after.series:,} series less, "
        f"{after.series:,} of {after.budget.series:,} are left."
    )
    series = {line.name: line for line in drops}
    yield f"{indent}drop:"
    yield f"{indent}  metrics:"
    for name in drop.metrics:
        comment = "dropped already" if name not in series else _saved(series[name])
        yield f"{indent}    - {name}   # {comment}"
    if drop.labels:
        yield f"{indent}  labels:"
        yield from (f"{indent}    {name}: [{', '.join(labels)}]" for name, labels in drop.labels.items())


def _saved(line: Line) -> str:
    own = f"; its budget is {line.budget.series:,}" if line.budget is not None and line.over else ""
    return f"{line.series:,} series{own}"


def _indent(loaded: LoadedCatalog) -> int:
    """How far the entries of `cardinality` are indented."""
    at = ("cardinality", "total")
    inside, outside = loaded.document.locate(at, key=True), loaded.document.locate(at[:1], key=True)
    return inside.column - 1 if inside.line > outside.line else outside.column + 1


def _as_json(proposed: LoadedCatalog, plan: Plan, after: Plan, drops: Sequence[Line]) -> dict[str, Any]:
    return {
        "drop": proposed.catalog.cardinality.drop.model_dump(mode="json"),
        "saves": {line.name: line.series for line in drops},
        "before": plan.series,
        "series": after.series,
        "budget": after.budget.series,
    }
