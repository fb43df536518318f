"""The metrics that a catalog's targets expose: which series are whose, and which of their labels have values that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiercli.cardinality.vendor import VendorCounts
from tiercli.catalog.model import Catalog
from tiercli.signals.bindings import CANONICAL_BINDING
from tiercli.signals.contract import CONTRACT, MetricType

# Labels of the contract whose values a catalog knows; of others' metrics the labels that a binding says are the same.
CATALOG_LABELS = frozenset(("tenant", "feature", "alias", "provider", "model", "region"))
# What catalogs know and bindings can say; provider, model and region only where a gateway has the catalog's own names.
_KNOWN_DIMENSIONS = frozenset(("tenant", "alias", "deployment"))
_HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


@dataclass(frozen=True)
class ScrapedMetrics:
    """By metric its labels that are looked at, each with the dimension of the catalog that its values are of; and by series
    name the metric that it is a part of, where the names differ."""

    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)

    def family(self, series: str) -> str:
        """The metric that a series is of."""
        return self.parts.get(series, series)

    @property
    def watched(self) -> frozenset[str]:
        """Every label that is looked at, of whatever metric."""
        return frozenset(label for labels in self.labels.values() for label in labels)


def _contract() -> ScrapedMetrics:
    labels = {one.name: {label: label for label in one.labels if label in CATALOG_LABELS} for one in CONTRACT}
    histograms = [one.name for one in CONTRACT if one.type is MetricType.HISTOGRAM]
    return ScrapedMetrics(labels, {f"{name}{part}": name for name in histograms for part in _HISTOGRAM_PARTS})


CONTRACT_ONLY = _contract()


def scraped_metrics(catalog: Catalog) -> ScrapedMetrics:
    """What the targets of a catalog expose, as far as their bindings name it."""
    native = catalog.gateway.binding == CANONICAL_BINDING
    labels = dict(CONTRACT_ONLY.labels) if native else {}
    parts = dict(CONTRACT_ONLY.parts) if native else {}
    for source in VendorCounts(catalog).sources:
        of = (
            {label: value for label, value in source.binding.label_values.items() if value in _KNOWN_DIMENSIONS}
            if source.provider is None
            else {}
        )
        for name, metric, _ in source.binding.counted():
            labels[name] = {label: str(of[label]) for label in metric.labels if label in of}
            if metric.type == "histogram":
                parts |= {f"{name}{part}": name for part in _HISTOGRAM_PARTS}
            if source.binding.created and metric.type != "gauge":
                parts[f"{name.removesuffix('_total')}_created"] = name
    return ScrapedMetrics(labels, parts)
