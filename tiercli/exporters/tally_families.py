"""A tally as metric families of prometheus_client, each with the labels that the catalog's policy leaves it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from tiercli.exporters.audit_tally import COUNTED, Histogram, LabelValues
from tiercli.signals.contract import METRICS_BY_NAME, Metric, MetricType
from tiercli.signals.label_policy import MetricPolicy

_V = TypeVar("_V", float, Histogram)


class Tallied(Protocol):
    """What a Tally knows."""

    @property
    def counters(self) -> Mapping[str, Mapping[LabelValues, float]]: ...
    @property
    def histograms(self) -> Mapping[str, Mapping[LabelValues, Histogram]]: ...
    @property
    def price_book(self) -> str: ...
    def scores(self, now: float) -> dict[str, float]: ...


def tally_families(
    tally: Tallied, policies: Mapping[str, MetricPolicy], price_book: str, now: float
) -> Iterator[Family]:
    """The contract's metrics, as far as a log of calls can say them. `price_book`: its version until a record names one;
    `now`: seconds since 1970."""
    for name in COUNTED:
        metric, policy = METRICS_BY_NAME[name], policies[name]
        if metric.type is MetricType.COUNTER:
            counter = CounterMetricFamily(name, metric.help, labels=policy.labels)
            for labels, value in _folded(tally.counters[name], metric, policy, operator.add).items():
                counter.add_metric(labels, value)
            yield counter
            continue
        histogram = HistogramMetricFamily(name, metric.help, labels=policy.labels)
        bounds = [*(f"{float(bound)}" for bound in metric.buckets), "+Inf"]
        for labels, one in _folded(tally.histograms[name], metric, policy, _together).items():
            histogram.add_metric(labels, list(_cumulative(bounds, one.counts)), sum_value=one.total)
        yield histogram
    yield contract_gauge("ai_gateway_price_book_info", {(tally.price_book or price_book,): 1.0})
    yield contract_gauge("ai_gateway_eval_score", {(name,): score for name, score in tally.scores(now).items()})


def contract_gauge(name: str, values: Mapping[LabelValues, float]) -> Family:
    """A gauge of the contract, by the values of its labels."""
    metric = METRICS_BY_NAME[name]
    gauge = GaugeMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        gauge.add_metric(labels, value)
    return gauge


def _folded(
    values: Mapping[LabelValues, _V], metric: Metric, policy: MetricPolicy, add: Callable[[_V, _V], _V]
) -> Mapping[LabelValues, _V]:
    """The values as the policy has them: those that become one are added up. What was counted stays as it is: a policy can
    change over the life of a log."""
    if policy == MetricPolicy(metric.labels):
        return values
    folded: dict[LabelValues, _V] = {}
    for labels, value in values.items():
        left = tuple(policy.apply(dict(zip(metric.labels, labels, strict=True))).values())
        folded[left] = add(folded[left], value) if left in folded else value
    return folded


def _together(one: Histogram, other: Histogram) -> Histogram:
    counts = [mine + yours for mine, yours in zip(one.counts, other.counts, strict=True)]
    return Histogram(counts, one.total + other.total)


def _cumulative(bounds: list[str], counts: list[int]) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip(bounds, counts, strict=True):
        total += count
        yield bound, total
