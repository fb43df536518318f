"""Budgets against those of an older catalog: one that is raised whenever it is met bounds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tiercli.catalog.model import Catalog, SeriesBudget

TOTAL_BUDGET = "all"


@dataclass(frozen=True, slots=True)
class Raised:
    """A budget that is higher than it was, or gone. `after` None: nothing bounds it any more."""

    name: str
    before: SeriesBudget
    after: SeriesBudget | None

    @property
    def explained(self) -> bool:
        """Whether it says a reason that it did not say before. A budget that is gone says none."""
        return self.after is not None and self.after.reason.strip() != self.before.reason.strip()


def raised_budgets(old: Catalog, new: Catalog) -> Iterator[Raised]:
    """Every budget that is higher than in `old`, or gone; that of all first."""
    if new.cardinality.total.series > old.cardinality.total.series:
        yield Raised(TOTAL_BUDGET, old.cardinality.total, new.cardinality.total)
    for name, before in old.cardinality.metrics.items():
        after = new.cardinality.metrics.get(name)
        if after is None or after.series > before.series:
            yield Raised(name, before, after)
