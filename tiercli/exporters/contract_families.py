"""Values that were counted by the contract's labels, as metric families of prometheus_client with the labels that the catalog's
policy leaves them."""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import TypeVar

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from tiercli.signals.contract import METRICS_BY_NAME, Metric, MetricType
from tiercli.signals.label_policy import MetricPolicy

LabelValues = tuple[str, ...]
V = TypeVar("V")


class Histogram(msgspec.Struct):
    """Observations by bucket, each in its own bucket only, the last one +Inf; and their sum."""

    counts: list[int]
    total: float = 0.0

    @classmethod
    def of(cls, metric: Metric) -> Histogram:
        """An empty histogram with the buckets of `metric`."""
        return cls([0] * (len(metric.buckets) + 1))

    def observe(self, value: float, buckets: tuple[float, ...]) -> None:
        """Count `value` in its bucket."""
        self.counts[bisect_left(buckets, value)] += 1
        self.total += value

    def __add__(self, other: Histogram) -> Histogram:
        counts = [count + others for count, others in zip(self.counts, other.counts, strict=True)]
        return Histogram(counts, self.total + other.total)


def contract_family(name: str, values: Mapping[LabelValues, float], policies: Mapping[str, MetricPolicy]) -> Family:
    """A counter or gauge of the contract. `values`: by the values of its labels, in the contract's order. Label sets that the
    policy makes one are added up; of gauges the largest counts. A metric without labels is 0 until it has a value."""
    metric, policy = METRICS_BY_NAME[name], policies[name]
    gauge = metric.type is MetricType.GAUGE
    kind = GaugeMetricFamily if gauge else CounterMetricFamily
    family = kind(name, metric.help, labels=policy.labels)
    for labels, value in _merged(values, metric, policy, max if gauge else operator.add, 0.0).items():
        family.add_metric(labels, value)
    return family


def contract_histogram(
    name: str, values: Mapping[LabelValues, Histogram], policies: Mapping[str, MetricPolicy]
) -> Family:
    """A histogram of the contract, as contract_family makes the others."""
    metric, policy = METRICS_BY_NAME[name], policies[name]
    family = HistogramMetricFamily(name, metric.help, labels=policy.labels)
    bounds = [*(f"{float(bound)}" for bound in metric.buckets), "+Inf"]
    for labels, histogram in _merged(values, metric, policy, operator.add, Histogram.of(metric)).items():
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric(labels, buckets, sum_value=histogram.total)
    return family


def _merged(
    values: Mapping[LabelValues, V], metric: Metric, policy: MetricPolicy, add: Callable[[V, V], V], zero: V
) -> Mapping[LabelValues, V]:
    """`values` by the labels that the policy leaves. What was counted keeps its labels: a policy can change over the life of a
    log."""
    if not policy.labels and not values:
        return {(): zero}
    if policy.labels == metric.labels and policy.groups is None:
        return values
    merged: dict[LabelValues, V] = {}
    for labels, value in values.items():
        left = tuple(policy.apply(dict(zip(metric.labels, labels, strict=True))).values())
        merged[left] = add(merged[left], value) if left in merged else value
    return merged
