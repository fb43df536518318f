"""The metrics of the simulated gateway, made from the contract: the names, types, labels and buckets are not said twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from tiercli.signals.contract import METRICS_BY_NAME, Metric, MetricType
from tiercli.signals.label_policy import MetricPolicy

disable_created_metrics()  # type: ignore[no-untyped-call]

# What this gateway knows. All of it is counted, but the eval score, which is set; queue depth is known to the local servers.
EMITTED = (
    "ai_gateway_requests_total",
    "ai_gateway_errors_total",
    "ai_gateway_request_duration_seconds",
    "ai_gateway_time_to_first_token_seconds",
    "ai_gateway_tokens_total",
    "ai_gateway_cost_usd_total",
    "ai_gateway_unpriced_requests_total",
    "ai_gateway_price_book_info",
    "ai_gateway_tenant_tokens_total",
    "ai_gateway_alias_requests_total",
    "ai_gateway_fallbacks_total",
    "ai_gateway_tenant_requests_total",
    "ai_gateway_quota_bucket_fill_ratio",
    "ai_gateway_quota_headroom_ratio",
    "ai_gateway_credentials_issued_total",
    "ai_gateway_cache_lookups_total",
    "ai_gateway_eval_score",
    "ai_gateway_scope_denials_total",
    "ai_gateway_zone_violations_total",
    "ai_gateway_refusals_total",
    "ai_gateway_response_tokens",
    "ai_gateway_postcondition_violations_total",
    "ai_gateway_audit_records_total",
    "ai_gateway_up",
)

Collector = Counter | Gauge | Histogram


class ContractMetrics:
    """prometheus-client objects for some metrics of the contract, in a registry of their own: no process, platform or
    `_created` series beside them. What is said of a metric has the contract's labels; `policies` say which are left of
    them. Gauges that become one are the largest of them."""

    def __init__(self, names: tuple[str, ...] = EMITTED, policies: Mapping[str, MetricPolicy] | None = None) -> None:
        self.registry = CollectorRegistry()
        self._policies = {
            name: (policies or {}).get(name, MetricPolicy(METRICS_BY_NAME[name].labels)) for name in names
        }
        self._collectors = {
            name: _collector(METRICS_BY_NAME[name], self._policies[name].labels, self.registry) for name in names
        }
        self._functions: dict[tuple[str, tuple[str, ...]], list[Callable[[], float]]] = {}

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Increase a counter by `amount`."""
        counter = self._child(name, labels)
        if not isinstance(counter, Counter):
            raise TypeError(f"{name} is not a counter")
        counter.inc(amount)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Observe `value` in a histogram."""
        histogram = self._child(name, labels)
        if not isinstance(histogram, Histogram):
            raise TypeError(f"{name} is not a histogram")
        histogram.observe(value)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self._gauge(name, labels).set(value)

    def set_function(self, name: str, value: Callable[[], float], /, **labels: str) -> None:
        """Let a gauge ask `value` at every scrape."""
        gauge = self._gauge(name, labels)
        key = (name, tuple(self._policies[name].apply(labels).values()))
        asked = self._functions.setdefault(key, [])
        asked.append(value)
        gauge.set_function(lambda: max(one() for one in asked))

    def _gauge(self, name: str, labels: dict[str, str]) -> Gauge:
        gauge = self._child(name, labels)
        if not isinstance(gauge, Gauge):
            raise TypeError(f"{name} is not a gauge")
        return gauge

    def _child(self, name: str, labels: dict[str, str]) -> Collector:
        if labels.keys() != set(METRICS_BY_NAME[name].labels):
            raise ValueError(f"{name} has not the labels {', '.join(labels)}")
        collector = self._collectors[name]
        kept = self._policies[name].apply(labels)
        return collector.labels(**kept) if kept else collector


def _collector(metric: Metric, labels: tuple[str, ...], registry: CollectorRegistry) -> Collector:
    if metric.type is MetricType.COUNTER:
        return Counter(metric.name, metric.help, labels, registry=registry)
    if metric.type is MetricType.GAUGE:
        return Gauge(metric.name, metric.help, labels, registry=registry)
    return Histogram(metric.name, metric.help, labels, registry=registry, buckets=metric.buckets)
