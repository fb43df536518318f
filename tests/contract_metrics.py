"""Values of the contract's metrics that a test says, exposed as tiercli exposes what it counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tiercli.exporters.contract_families import Histogram, LabelValues, contract_family, contract_histogram
from tiercli.signals.contract import METRICS_BY_NAME, MetricType
from tiercli.signals.label_policy import MetricPolicy

EVERY_LABEL = {name: MetricPolicy(metric.labels) for name, metric in METRICS_BY_NAME.items()}


class ContractMetrics(Collector):
    """Counters, gauges and histograms by the contract's labels, in a registry; `policies` say which labels are left."""

    def __init__(self, names: tuple[str, ...], policies: Mapping[str, MetricPolicy] | None = None) -> None:
        self._policies = policies or EVERY_LABEL
        self._values: dict[str, dict[LabelValues, Any]] = {name: defaultdict(float) for name in names}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Increase a counter."""
        self._values[name][self._key(name, labels)] += amount

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self._values[name][self._key(name, labels)] = value

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Observe a value in a histogram."""
        metric, values, key = METRICS_BY_NAME[name], self._values[name], self._key(name, labels)
        values[key] = values.get(key) or Histogram.of(metric)
        values[key].observe(value, metric.buckets)

    def collect(self) -> Iterator[Family]:
        """The metrics as they are now."""
        for name, values in self._values.items():
            make = contract_histogram if METRICS_BY_NAME[name].type is MetricType.HISTOGRAM else contract_family
            yield make(name, values, self._policies)

    def _key(self, name: str, labels: Mapping[str, str]) -> LabelValues:
        assert labels.keys() == set(METRICS_BY_NAME[name].labels)
        return tuple(labels[label] for label in METRICS_BY_NAME[name].labels)
