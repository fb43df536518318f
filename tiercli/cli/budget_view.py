"""A plan of series, as people and machines read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tiercli.cli.terminal import output_console

if TYPE_CHECKING:
    from tiercli.cardinality.budgets import Raised
    from tiercli.cardinality.plan import Footprint, Line, Plan, TargetSeries
    from tiercli.cardinality.savings import Explanation, Saving, Savings

_BAR = 16
_WIDE = 1000
_SHOWN = 4


def print_plan(made: Plan, savings: Savings, cost: Footprint, raised: Sequence[Raised]) -> None:
    """A table of metrics, most series first, with what would help most; totals; what was raised."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("metric", no_wrap=True)
    table.add_column("labels", no_wrap=True)
    for column in ("series", "budget", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("", "most by", "would help most"):
        table.add_column(column, no_wrap=True)
    largest = max((line.series for line in made.lines), default=1)
    for line in made.lines:
        bar = "█" * max(1 if line.series else 0, round(_BAR * line.series / max(1, largest)))
        cells = (*_row(line, savings), bar, _most_by(line, savings), _best(line, savings))
        table.add_row(*(Text(cell) for cell in cells), style="red" if line.over else None)
    share = _share(made.series / made.budget.series)
    total = ("all", "", f"{made.series:,}", f"{made.budget.series:,}", f"{share}{' over' if made.over else ''}")
    table.add_row(*(Text(cell) for cell in total), style="red" if made.over else "bold")
    console = output_console()
    # A column that is cut off says nothing: in a narrow terminal lines wrap instead.
    console.width = max(console.width, _WIDE)
    console.print(table, crop=False)
    rate = f"{cost.scraped_per_s:,.0f} scraped and {cost.recorded_per_s:,.0f} recorded samples a second"
    from tiercli.cardinality.plan import BYTES_SOURCE

    console.print(f"about {cost.memory_bytes / 1e6:,.0f} MB of memory ({BYTES_SOURCE}); {rate}", markup=False)
    for line_ in target_lines(made):
        console.print(line_, markup=False)
    if made.not_counted:
        console.print(f"not counted, the own metrics of: {'; '.join(made.not_counted)}", style="yellow", markup=False)
    for one in raised:
        now = f"{one.after.series:,}" if one.after is not None else "no budget"
        reason = f": {one.after.reason}" if one.after is not None and one.explained else ", without a new reason"
        mark, style = ("·", "dim") if one.explained else ("✗", "bold red")
        console.print(
            f"{mark} {one.name} raised from {one.before.series:,} to {now}{reason}", style=style, markup=False
        )


def plan_json(made: Plan, savings: Savings, cost: Footprint, raised: Sequence[Raised]) -> dict[str, Any]:
    """The same for machines."""
    return {
        "series": made.series,
        "budget": made.budget.model_dump(mode="json"),
        "within": made.within,
        "not_counted": list(made.not_counted),
        "targets": [
            {"job": one.job, "addresses": list(one.addresses), "series": one.series, "each": one.each}
            for one in made.targets
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
                "contributors": [{"label": one.label, "factor": one.factor} for one in savings.contributors(line)],
                "savings": [_saving_json(one) for one in savings.savings(line)],
            }
            for line in made.lines
        ],
        "raised": [
            {
                "budget": one.name,
                "before": one.before.series,
                "after": None if one.after is None else one.after.series,
                "explained": one.explained,
            }
            for one in raised
        ],
    }


def target_lines(made: Plan) -> Iterator[str]:
    """What each scrape target has; targets of a job that have the same in one line."""
    alike: dict[tuple[str, int | None], list[TargetSeries]] = {}
    for one in made.targets:
        alike.setdefault((one.job, one.each), []).append(one)
    for (job, each), some in alike.items():
        addresses = [address for one in some for address in one.addresses]
        shown = ", ".join(addresses[:_SHOWN]) + (
            f", and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
        )
        series = sum(one.series for one in some)
        said = f"{each:,} series" if each is not None else f"{series:,} series together"
        yield f"{job}: {said}{' each' if each is not None and len(addresses) > 1 else ''} of {shown}"


def explained_lines(explanation: Explanation) -> Iterator[str]:
    """The arithmetic of one metric, a line each."""
    line = explanation.line
    yield f"{line.name}{{{', '.join(line.labels)}}}"
    for factor in explanation.factors:
        yield f"  {factor.count:>12,}  {factor.what} ({', '.join(factor.labels) or 'no label of it is kept'})"
    if not explanation.factors:
        yield f"  {line.label_sets:>12,}  label sets"
    yield f"× {line.series_per_set:>12,}  {explanation.parts}"
    yield f"× {line.instances:>12,}  instance{'s' if line.instances != 1 else ''}"
    yield f"= {line.series:>12,}  series{f', of {line.budget.series:,} (' + line.budget.reason + ')' if line.budget else ''}"
    if line.kind == "vendor":
        counted = {label for factor in explanation.factors for label in factor.labels}
        single = [label for label in line.labels if label not in counted]
        if single:
            yield f"  one value beside the others: {', '.join(single)} (more of them: cardinality.label_values)"
    for one in explanation.contributors:
        if one.factor <= 1:
            continue
        yield f"  because of {one.label}: {one.factor:,.1f} times as many"
    for saving in explanation.savings:
        needed = saving.needed_by or ()
        more = f" and {len(needed) - _SHOWN} more" if len(needed) > _SHOWN else ""
        why = f"; needed by {', '.join(needed[:_SHOWN])}{more}" if needed else ""
        yield f"  {'−' if saving.possible else '✗'} {saving.saves:>11,}  {saving.kind}: {saving.what}{why}"


def explained_json(explanation: Explanation) -> dict[str, Any]:
    """The same for machines."""
    line = explanation.line
    return {
        "metric": line.name,
        "labels": list(line.labels),
        "factors": [{"count": one.count, "of": one.what, "labels": list(one.labels)} for one in explanation.factors],
        "label_sets": line.label_sets,
        "series_per_label_set": line.series_per_set,
        "instances": line.instances,
        "series": line.series,
        "contributors": [{"label": one.label, "factor": one.factor} for one in explanation.contributors],
        "savings": [_saving_json(one) for one in explanation.savings],
    }


def _saving_json(saving: Saving) -> dict[str, Any]:
    needed = None if saving.needed_by is None else list(saving.needed_by)
    return {"kind": saving.kind, "what": saving.what, "saves": saving.saves, "needed_by": needed}


def _row(line: Line, savings: Savings) -> tuple[str, ...]:
    labels = ", ".join(line.labels)
    if line.kind == "vendor":  # a dozen labels, of which a few multiply
        counted = {label for factor in savings.explain(line).factors for label in factor.labels}
        shown = [label for label in line.labels if label in counted]
        labels = ", ".join([*shown, "…"] if len(shown) < len(line.labels) else shown)
    if line.budget is None:
        return line.name, labels, f"{line.series:,}", "", ""
    share = f"{_share(line.series / line.budget.series)}{' over' if line.over else ''}"
    return line.name, labels, f"{line.series:,}", f"{line.budget.series:,}", share


def _share(ratio: float) -> str:
    return f"{ratio:.0%}" if ratio < 10 else f"×{ratio:,.0f}"


def _most_by(line: Line, savings: Savings) -> str:
    first = next(iter(savings.contributors(line)), None)
    return (
        f"{first.label} ×{first.factor:,.{0 if first.factor >= 10 else 1}f}"
        if first is not None and first.factor > 1
        else ""
    )


def _best(line: Line, savings: Savings) -> str:
    best = next((one for one in savings.savings(line) if one.possible), None)
    if best is None:
        return ""
    what = f"drop {best.what}" if best.kind == "drop label" else "drop it" if best.kind == "drop metric" else best.kind
    return f"{what}: −{best.saves:,}"
