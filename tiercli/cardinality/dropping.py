"""Which metrics to drop at the scrape so that the series fit their budgets: as few as possible."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tiercli.cardinality.plan import Line, Plan
from tiercli.catalog.model import Catalog


def fewest_drops(plan: Plan, unread: Collection[str]) -> tuple[Line, ...]:
    """The fewest of the `unread` metrics without which the plan fits its budgets, most series first. Where the budgets cannot be
    met so, all that would help.

    A metric over a budget of its own has to go; of the others, the largest until the total fits, and at last the smallest that
    is enough."""
    droppable = [line for line in plan.lines if line.name in unread and line.series]
    chosen = [line for line in droppable if line.over]
    over = plan.series - sum(line.series for line in chosen) - plan.budget.series
    rest = sorted((line for line in droppable if not line.over), key=lambda line: -line.series)
    while over > 0 and rest:
        enough = [line for line in rest if line.series >= over]
        line = enough[-1] if enough else rest[0]
        chosen.append(line)
        rest.remove(line)
        over -= line.series
    return tuple(sorted(chosen, key=lambda line: (-line.series, line.name)))


def with_drops(catalog: Catalog, metrics: Iterable[str]) -> Catalog:
    """`catalog` that drops these metrics too."""
    cardinality = catalog.cardinality
    drop = cardinality.drop.model_copy(update={"metrics": (*cardinality.drop.metrics, *metrics)})
    return catalog.model_copy(update={"cardinality": cardinality.model_copy(update={"drop": drop})})
