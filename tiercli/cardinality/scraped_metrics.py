"""The metrics that the targets of a catalog expose, as far as their bindings name them: what a series is a part of, and which of
its labels have values that the catalog knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiercli.cardinality.vendor import VendorCounts
from tiercli.catalog.model import Catalog
from tiercli.signals.contract import CONTRACT, METRICS_BY_SERIES
from tiercli.signals.exposed import contract_targets
from tiercli.signals.vendor_metrics import created_series

SUFFIXES = ("_bucket", "_sum", "_count")
WITH_PARTS = ("histogram", "summary")  # types whose series are parts, with these suffixes
# Labels of the contract whose values a catalog knows; of other metrics, the labels that a binding maps to these.
CATALOG_LABELS = frozenset(("tenant", "feature", "alias", "provider", "model", "region"))
# Dimensions whose values a gateway takes from the catalog; its names of providers, models and regions are often its own.
_KNOWN_DIMENSIONS = frozenset(("tenant", "alias", "deployment"))


@dataclass(frozen=True)
class ScrapedMetrics:
    """`labels`: by metric its watched labels, each with the dimension of the catalog that its values belong to. `parts`: by series
    name the metric that it is a part of, where the names differ."""

    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)

    def family(self, series: str) -> str:
        """The metric that a series belongs to."""
        return self.parts.get(series, series)

    @property
    def watched(self) -> frozenset[str]:
        """Every label that is watched, of any metric."""
        return frozenset(label for labels in self.labels.values() for label in labels)


CONTRACT_ONLY = ScrapedMetrics(
    {metric.name: {label: label for label in metric.labels if label in CATALOG_LABELS} for metric in CONTRACT},
    {series: metric.name for series, metric in METRICS_BY_SERIES.items()},
)


def scraped_metrics(catalog: Catalog) -> ScrapedMetrics:
    """What the targets of a catalog expose, as far as their bindings name it."""
    counted = contract_targets(catalog)
    labels = dict(CONTRACT_ONLY.labels) if counted else {}
    parts = dict(CONTRACT_ONLY.parts) if counted else {}
    for source in VendorCounts(catalog).sources:
        values = source.binding.label_values if source.provider is None else {}
        dimensions = {label: str(value) for label, value in values.items() if value in _KNOWN_DIMENSIONS}
        older = ((name, metric) for name, metric in source.binding.metrics.items() if metric.older)
        parts |= {part: name for name, metric in older for part in metric.exposed(name)}
        for name, metric, _ in source.binding.counted():
            labels[name] = {label: dimensions[label] for label in metric.labels if label in dimensions}
            if metric.type in WITH_PARTS:
                parts |= {f"{name}{part}": name for part in SUFFIXES}
            if source.binding.created and metric.type != "gauge":
                parts[created_series(name, metric.type)] = name
    return ScrapedMetrics(labels, parts)
