"""The contract's metrics as prometheus-client objects, built from the contract itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from tiercli.signals.contract import CONTRACT, METRICS_BY_NAME, MetricType

disable_created_metrics()  # type: ignore[no-untyped-call]


class ContractMetrics:
    """One object a metric of the contract, in a registry of its own; a metric that is never set exposes nothing."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._objects: dict[str, Counter | Gauge | Histogram] = {}
        for metric in CONTRACT:
            # An unlabelled object would expose 0 at once, whether the gateway knows the figure or not.
            if metric.labels:
                self._make(metric.name)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Increase a counter."""
        made = self._child(name, labels)
        assert isinstance(made, Counter)  # noqa: S101 - the contract says so
        made.inc(amount)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Observe a value in a histogram."""
        made = self._child(name, labels)
        assert isinstance(made, Histogram)  # noqa: S101 - the contract says so
        made.observe(value)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        made = self._child(name, labels)
        assert isinstance(made, Gauge)  # noqa: S101 - the contract says so
        made.set(value)

    def _child(self, name: str, labels: dict[str, str]) -> Counter | Gauge | Histogram:
        made = self._objects.get(name) or self._make(name)
        return made.labels(**labels) if labels else made

    def _make(self, name: str) -> Counter | Gauge | Histogram:
        metric = METRICS_BY_NAME[name]
        if metric.type is MetricType.COUNTER:
            made: Counter | Gauge | Histogram = Counter(name, metric.help, metric.labels, registry=self.registry)
        elif metric.type is MetricType.GAUGE:
            made = Gauge(name, metric.help, metric.labels, registry=self.registry)
        else:
            made = Histogram(name, metric.help, metric.labels, registry=self.registry, buckets=metric.buckets)
        self._objects[name] = made
        return made
