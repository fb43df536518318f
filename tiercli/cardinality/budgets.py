"""Series budgets: of metrics that exist, and not raised without a reason. A budget of a metric that does not exist limits
nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tiercli.catalog.document import Document
from tiercli.catalog.model import Catalog, SeriesBudget
from tiercli.catalog.names import unknown_name
from tiercli.errors import Problem
from tiercli.signals.bindings import Binding, binding_names, known_binding
from tiercli.signals.contract import METRICS_BY_NAME
from tiercli.signals.recorded import RECORDED_BY_NAME

TOTAL_BUDGET = "all"


def check_budgets(catalog: Catalog, document: Document) -> list[Problem]:
    """A problem for each budget of an unknown metric, and each number of values of a label that no source of the catalog has,
    at its place in the catalog."""
    cardinality = catalog.cardinality
    strange = [name for name in cardinality.metrics if name not in METRICS_BY_NAME and name not in RECORDED_BY_NAME]
    if not strange and not cardinality.label_values:
        return []
    exposed = {name: metric for binding in _bindings(catalog) for name, metric, _ in binding.counted()}
    metrics = (*METRICS_BY_NAME, *RECORDED_BY_NAME, *exposed)
    labels = list(dict.fromkeys(label for metric in exposed.values() for label in metric.labels))
    places = [("metric", "metrics", name, metrics) for name in strange]
    places += [("label", "label_values", name, tuple(labels)) for name in cardinality.label_values]
    return [
        unknown_name(kind, name, known, document.locate(("cardinality", key, name), key=True), " in cardinality")
        for kind, key, name, known in places
        if name not in known
    ]


def _bindings(catalog: Catalog) -> Iterator[Binding]:
    """The known bindings that the catalog names; unknown ones are reported elsewhere."""
    named = [catalog.gateway.binding, *(source.binding for source in catalog.sources.values())]
    named += [provider.binding for provider in catalog.providers.values() if provider.binding is not None]
    known = set(binding_names())
    yield from (known_binding(name) for name in dict.fromkeys(named) if name in known)


@dataclass(frozen=True, slots=True)
class Raised:
    """A budget that is higher than before, or removed (`after` is None)."""

    name: str
    before: SeriesBudget
    after: SeriesBudget | None

    @property
    def explained(self) -> bool:
        """Whether it has a new reason. A removed budget has none."""
        return self.after is not None and self.after.reason.strip() != self.before.reason.strip()


def raised_budgets(old: Catalog, new: Catalog) -> Iterator[Raised]:
    """Every budget that is higher than in `old`, or removed; the total first."""
    if new.cardinality.total.series > old.cardinality.total.series:
        yield Raised(TOTAL_BUDGET, old.cardinality.total, new.cardinality.total)
    for name, before in old.cardinality.metrics.items():
        after = new.cardinality.metrics.get(name)
        if after is None or after.series > before.series:
            yield Raised(name, before, after)
