"""What `tiercli budget` prints of a plan: the table, JSON, findings, the verdict; and of one metric, its arithmetic."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tiercli.cardinality.budgets import TOTAL_BUDGET, Raised
from tiercli.cardinality.estate import Estates
from tiercli.cardinality.plan import BYTES_SOURCE, Footprint, Line, Plan, TargetSeries, footprint
from tiercli.cardinality.savings import Contributor, Explanation, Saving, Savings
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import SeriesBudget
from tiercli.cli.terminal import output_console, print_json
from tiercli.cli.wide_table import Column, print_table
from tiercli.errors import CheckFailed, Location
from tiercli.lint.formats import as_github, as_sarif
from tiercli.lint.interface import Finding, Severity

_BAR = 16
_SHOWN = 4


class PlanColumns:
    """The columns of the table, by heading: what each shows of a metric and, in the last row, of all metrics."""

    def __init__(self, plan: Plan, savings: Savings) -> None:
        self._plan, self._savings = plan, savings
        self._largest = max((line.series for line in plan.lines), default=1)
        self.columns: tuple[Column[Line], ...] = (
            Column("metric", lambda line: line.name, "all"),
            Column("labels", self._labels),
            Column("series", lambda line: f"{line.series:,}", f"{plan.series:,}", right=True),
            Column("budget", _budget, f"{plan.budget.series:,}", right=True),
            Column("share", _share, _share(plan), right=True),
            Column("", self._bar),
            Column("most by", self._most_by),
            Column("would help most", self._best),
        )

    def _labels(self, line: Line) -> str:
        if line.kind != "vendor":
            return ", ".join(line.labels)
        # A dozen labels, of which a few multiply.
        counted = {label for factor in self._savings.explain(line).factors for label in factor.labels}
        shown = [label for label in line.labels if label in counted]
        return ", ".join([*shown, "…"] if len(shown) < len(line.labels) else shown)

    def _bar(self, line: Line) -> str:
        return "█" * max(1 if line.series else 0, round(_BAR * line.series / max(1, self._largest)))

    def _most_by(self, line: Line) -> str:
        contributor = next(iter(self._savings.contributors(line)), None)
        if contributor is None or contributor.factor <= 1:
            return ""
        return f"{contributor.label} ×{contributor.factor:,.{0 if contributor.factor >= 10 else 1}f}"

    def _best(self, line: Line) -> str:
        saving = next((saving for saving in self._savings.savings(line) if saving.possible), None)
        if saving is None:
            return ""
        verbs = {"drop label": f"drop {saving.what}", "drop metric": "drop it"}
        where = " at its source" if line.kind == "vendor" and saving.kind == "drop label" else ""
        return f"{verbs.get(saving.kind, saving.kind)}{where}: −{saving.saves:,}"


def _budget(line: Line) -> str:
    return "" if line.budget is None else f"{line.budget.series:,}"


def _share(counted: Line | Plan) -> str:
    """What share of its budget a metric, or all of them, can use."""
    if counted.budget is None:
        return ""
    ratio = counted.series / counted.budget.series
    return (f"{ratio:.0%}" if ratio < 10 else f"×{ratio:,.0f}") + (" over" if counted.over else "")


def show_plan(
    loaded: LoadedCatalog, plan: Plan, raised: Sequence[Raised], form: str, estates: Estates, *, every_row: bool
) -> None:
    """Print a plan in the form of --format: text, json, github or sarif. `raised`: budgets that are higher than they were;
    `every_row`: not only the largest metrics, in text."""

    savings, settings = Savings(loaded.catalog, estates=estates), loaded.catalog.prometheus
    if form in ("github", "sarif"):
        findings = list(budget_findings(loaded, plan, raised, savings))
        text = as_github(findings) if form == "github" else as_sarif(findings, ())
        sys.stdout.write(text + "\n" if text else "")
        return
    cost = footprint(plan, settings.scrape_interval, settings.evaluation_interval)
    if form == "json":
        print_json(plan_json(plan, savings, cost, raised))
    else:
        print_plan(plan, savings, cost, raised, every_row)


def judge(plan: Plan, raised: Sequence[Raised]) -> None:
    """Raise CheckFailed where a budget is exceeded, or was raised without a new reason."""

    over = [(line.name, line.series, line.budget) for line in plan.breaches if line.budget]
    over += [("all", plan.series, plan.budget)] if plan.over else []
    unexplained = [budget.name for budget in raised if not budget.explained]
    verdict = []
    if over:
        names = "; ".join(f"{name}: {series} of {budget.series} ({budget.owner})" for name, series, budget in over)
        verdict.append(f"{len(over)} series budget{'s' if len(over) > 1 else ''} exceeded: {names}")
    if unexplained:
        verdict.append(f"raised without a new reason: {', '.join(unexplained)}")
    if verdict:
        hint = "drop what nothing reads (--fix), allow fewer combinations in the catalog, or raise the budget with its reason"
        raise CheckFailed("; ".join(verdict), hint=hint)


def budget_findings(loaded: LoadedCatalog, plan: Plan, raised: Sequence[Raised], savings: Savings) -> Iterator[Finding]:
    """Each budget that is exceeded or was raised, at its place in the catalog."""

    def place(name: str) -> Location:
        keys = ("cardinality", "total") if name == TOTAL_BUDGET else ("cardinality", "metrics", name)
        return loaded.document.locate(keys, key=True)

    def over(name: str, subject: str, series: int, budget: SeriesBudget, do: str) -> Finding:
        return Finding(
            "budget/over", Severity.ERROR, place(name), subject, f"{series:,} series of {budget.series:,}", do
        )

    for line in plan.breaches:
        saving = next((saving for saving in savings.savings(line) if saving.possible), None)
        fewer = (
            f"{saving.kind} ({saving.what}) saves {saving.saves:,}"
            if saving
            else "Allow fewer combinations in the catalog"
        )
        if line.budget is not None:
            yield over(line.name, line.name, line.series, line.budget, f"{fewer}, or raise it with its reason")
    if plan.over:
        largest = ", ".join(line.name for line in plan.lines[:3])
        yield over(TOTAL_BUDGET, "all series", plan.series, plan.budget, f"Largest are {largest}")
    for budget in raised:
        now, do = "nothing", "State in `reason` what changed"
        at = loaded.document.locate(("cardinality", "metrics"), key=True)
        if budget.after is not None:
            now, at = f"{budget.after.series:,}", place(budget.name)
            do = f"Reason: {budget.after.reason}" if budget.explained else do
        severity = Severity.INFO if budget.explained else Severity.ERROR
        yield Finding("budget/raised", severity, at, budget.name, f"raised from {budget.before.series:,} to {now}", do)


def print_plan(plan: Plan, savings: Savings, cost: Footprint, raised: Sequence[Raised], every_row: bool) -> None:
    """A table of metrics, most series first, with what would help most; totals; the budgets that were raised."""

    columns = PlanColumns(plan, savings).columns
    print_table(columns, plan.lines, lambda line: line.over, plan.over, every_row=every_row)
    console = output_console()
    rate = f"{cost.scraped_per_s:,.0f} scraped and {cost.recorded_per_s:,.0f} recorded samples a second"
    console.print(f"about {cost.memory_bytes / 1e6:,.0f} MB of memory ({BYTES_SOURCE}); {rate}", markup=False)
    for text in target_lines(plan):
        console.print(text, markup=False)
    if plan.dropped:
        metrics = f"{len(plan.dropped)} metric{'s' if len(plan.dropped) > 1 else ''}"
        console.print(f"{metrics} dropped at the scrape, by cardinality.drop", markup=False)
    if plan.not_counted:
        console.print(f"not counted: the own metrics of {'; '.join(plan.not_counted)}", style="yellow", markup=False)
    for budget in raised:
        now = f"{budget.after.series:,}" if budget.after is not None else "no budget"
        reason = f": {budget.after.reason}" if budget.after and budget.explained else ", without a new reason"
        mark, style = ("·", "dim") if budget.explained else ("✗", "bold red")
        text = f"{mark} {budget.name} raised from {budget.before.series:,} to {now}{reason}"
        console.print(text, style=style, markup=False)


def plan_json(plan: Plan, savings: Savings, cost: Footprint, raised: Sequence[Raised]) -> dict[str, Any]:
    """The same for machines."""
    return {
        "series": plan.series,
        "budget": plan.budget.model_dump(mode="json"),
        "within": plan.within,
        "not_counted": list(plan.not_counted),
        "dropped": list(plan.dropped),
        "targets": [
            {"job": target.job, "addresses": list(target.addresses), "series": target.series, "each": target.each}
            for target in plan.targets
        ],
        "memory_bytes": cost.memory_bytes,
        "samples_per_second": {"scraped": cost.scraped_per_s, "recorded": cost.recorded_per_s},
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
                "contributors": [_contributor_json(contributor) for contributor in savings.contributors(line)],
                "savings": [_saving_json(saving) for saving in savings.savings(line)],
            }
            for line in plan.lines
        ],
        "raised": [
            {
                "budget": budget.name,
                "before": budget.before.series,
                "after": None if budget.after is None else budget.after.series,
                "explained": budget.explained,
            }
            for budget in raised
        ],
    }


def target_lines(plan: Plan) -> Iterator[str]:
    """How many series each scrape target has; targets of a job that have the same number in one line."""
    alike: dict[tuple[str, int | None], list[TargetSeries]] = {}
    for target in plan.targets:
        alike.setdefault((target.job, target.each), []).append(target)
    for (job, each), targets in alike.items():
        addresses = [address for target in targets for address in target.addresses]
        more = f", and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
        if each is None:
            number = f"{sum(target.series for target in targets):,} series together"
        else:
            number = f"{each:,} series{' each' if len(addresses) > 1 else ''}"
        yield f"{job}: {number} of {', '.join(addresses[:_SHOWN])}{more}"


def explained_lines(explanation: Explanation) -> Iterator[str]:
    """The arithmetic of one metric, a line each."""
    line = explanation.line
    yield f"{line.name}{{{', '.join(line.labels)}}}"
    for factor in explanation.factors:
        yield f"  {factor.count:>12,}  {factor.what} ({', '.join(factor.labels) or 'no label kept'})"
    if not explanation.factors:
        yield f"  {line.label_sets:>12,}  label sets"
    yield f"× {line.series_per_set:>12,}  {explanation.parts}"
    yield f"× {line.instances:>12,}  instance{'s' if line.instances != 1 else ''}"
    yield f"= {line.series:>12,}  series{f', of {line.budget.series:,} (' + line.budget.reason + ')' if line.budget else ''}"
    if line.kind == "vendor":
        counted = {label for factor in explanation.factors for label in factor.labels}
        single = [label for label in line.labels if label not in counted]
        if single:
            yield f"  one value for each combination of the others: {', '.join(single)} (more: cardinality.label_values)"
    for contributor in explanation.contributors:
        if contributor.factor > 1:
            yield f"  {contributor.label} multiplies the series by {contributor.factor:,.1f}"
    for saving in explanation.savings:
        needed = saving.needed_by or ()
        more = f" and {len(needed) - _SHOWN} more" if len(needed) > _SHOWN else ""
        why = f"; needed by {', '.join(needed[:_SHOWN])}{more}" if needed else ""
        how = f" ({_how(line, saving)})" if saving.possible and _how(line, saving) else ""
        yield f"  {'−' if saving.possible else '✗'} {saving.saves:>11,}  {saving.kind}: {saving.what}{how}{why}"


def _how(line: Line, saving: Saving) -> str:
    """How to do what would help."""
    if saving.kind == "drop label" and line.kind == "vendor":
        return "at its source: at the scrape, series would become one"
    return {
        "drop metric": "cardinality.drop",
        "drop label": "cardinality.policy",
        "group rare tenants": "cardinality.policy",
    }.get(saving.kind, "")


def explained_json(explanation: Explanation) -> dict[str, Any]:
    """The same for machines."""
    line = explanation.line
    return {
        "metric": line.name,
        "labels": list(line.labels),
        "factors": [
            {"count": factor.count, "of": factor.what, "labels": list(factor.labels)} for factor in explanation.factors
        ],
        "label_sets": line.label_sets,
        "series_per_label_set": line.series_per_set,
        "instances": line.instances,
        "series": line.series,
        "contributors": [_contributor_json(contributor) for contributor in explanation.contributors],
        "savings": [_saving_json(saving) for saving in explanation.savings],
    }


def _contributor_json(contributor: Contributor) -> dict[str, Any]:
    return {"label": contributor.label, "factor": contributor.factor}


def _saving_json(saving: Saving) -> dict[str, Any]:
    needed = None if saving.needed_by is None else list(saving.needed_by)
    return {"kind": saving.kind, "what": saving.what, "saves": saving.saves, "needed_by": needed}
