"""The metrics of a simulated source, as its file in catalogs/sources/ says that they are exposed."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tiercli.exporters.contract_families import Histogram, LabelValues
from tiercli.signals.bindings import Binding
from tiercli.signals.spoken import FACTS, Event, SpokenMetric, fact_expression
from tiercli.signals.vendor_metrics import VendorMetric

Amounts = Mapping[str, float | None]
# Dimensions of a source's labels, in the plan of its series, that the facts call otherwise.
_FACT_OF = {"tenant_key": "tenant"}
Current = Callable[[], Iterator[tuple[Event, Mapping[str, str], Amounts]]]


class _Place(NamedTuple):
    """Where an amount of an event goes."""

    metric: str
    labels: LabelValues
    spoken: SpokenMetric


class SpokenMetrics(Collector):
    """One target of a source.

    `current` gives the states that are there at a scrape. `minute_s`: how long a minute is, in compressed time. `clock` gives
    seconds. Raises jinja2.TemplateError, at the first event, for an expression that is none.
    """

    def __init__(
        self,
        binding: Binding,
        current: Current = lambda: iter(()),
        *,
        minute_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._binding, self._current, self._minute_s, self._clock = binding, current, minute_s, clock
        self._places: dict[tuple[str, ...], tuple[_Place, ...]] = {}
        self._counters: dict[str, defaultdict[LabelValues, float]] = defaultdict(lambda: defaultdict(float))
        self._histograms: dict[str, dict[LabelValues, Histogram]] = defaultdict(dict)
        self._minutes: dict[tuple[str, LabelValues, float | None], deque[tuple[float, float]]] = defaultdict(deque)
        self._created: dict[tuple[str, LabelValues], float] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    async def answer(self, _: web.Request) -> web.Response:
        """The answer to a scrape: in the text format, as OpenMetrics would write the colons of some names as underscores."""
        headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        return web.Response(body=generate_latest(self._registry), headers=headers)

    def count(self, event: Event, facts: Mapping[str, str], amounts: Amounts) -> None:
        """Count something that has happened. `facts`: all of the event's; an amount that is None is not known."""
        for place in self._places_of(event, facts):
            value = _amount(place, amounts)
            if value is None:
                continue
            metric = self._binding.metrics[place.metric]
            if metric.type == "histogram":
                self._observe(place, metric, value)
            elif place.spoken.of_last_minute:
                self._minutes[place.metric, place.labels, place.spoken.quantile].append((self._clock(), value))
            else:
                self._note_birth(place)
                self._counters[place.metric][place.labels] += value

    def collect(self) -> Iterator[Family]:
        """Every metric as it is now."""
        shown = self._gauges()
        for name, metric in self._binding.metrics.items():
            if name in self._counters:
                yield self._counter(name, metric, self._counters[name])
                yield from self._births(name, metric)
            elif name in self._histograms:
                yield _histogram(name, metric, self._histograms[name])
                yield from self._births(name, metric)
            elif name in shown:
                yield _family(name, metric, "gauge", shown[name])

    def _places_of(self, event: Event, facts: Mapping[str, str]) -> tuple[_Place, ...]:
        key = (event, *(facts[name] for name in FACTS[event]))
        places = self._places.get(key)
        if places is None:  # the same facts come again and again
            places = self._places[key] = tuple(self._find(event, facts))
        return places

    def _find(self, event: Event, facts: Mapping[str, str]) -> Iterator[_Place]:
        assert self._binding.spoken is not None  # noqa: S101 - who asks has looked
        for name, entries in self._binding.spoken.metrics.items():
            for spoken in entries:
                if spoken.of == event and (spoken.when is None or fact_expression(spoken.when)(**facts)):
                    yield _Place(name, self._labels(name, spoken, facts), spoken)

    def _labels(self, name: str, spoken: SpokenMetric, facts: Mapping[str, str]) -> LabelValues:
        source = self._binding.spoken
        assert source is not None  # noqa: S101 - as above
        values = []
        for label in self._binding.metrics[name].labels:
            expression = spoken.labels.get(label, source.labels.get(label))
            if expression is not None:
                value = str(fact_expression(expression)(**facts))
            else:
                dimension = self._binding.label_values.get(label)
                value = facts.get(_FACT_OF.get(str(dimension), str(dimension)), "")
            values.append(value or source.absent)
        return tuple(values)

    def _observe(self, place: _Place, metric: VendorMetric, value: float) -> None:
        bounds = _bounds(metric)
        histogram = self._histograms[place.metric].get(place.labels)
        if histogram is None:
            self._note_birth(place)
            histogram = self._histograms[place.metric][place.labels] = Histogram([0] * (len(bounds) + 1))
        histogram.observe(value, bounds)

    def _note_birth(self, place: _Place) -> None:
        self._created.setdefault((place.metric, place.labels), self._clock())

    def _gauges(self) -> dict[str, dict[LabelValues, float]]:
        """What is there now, several entries of a metric together, and what the last minute came to."""
        shown: dict[str, dict[LabelValues, float]] = defaultdict(dict)
        for event, facts, amounts in self._current():
            for place in self._places_of(event, facts):
                value = _amount(place, amounts)
                if value is not None:
                    values_of = shown[place.metric]
                    values_of[place.labels] = values_of.get(place.labels, 0.0) + value
        since = self._clock() - self._minute_s
        for (metric, labels, quantile), values in self._minutes.items():
            while values and values[0][0] <= since:
                values.popleft()
            of_minute = [value for _, value in values]
            if quantile is None:
                shown[metric][labels] = sum(of_minute)
            elif of_minute:
                shown[metric][labels] = _quantile(of_minute, quantile)
        return shown

    def _counter(self, name: str, metric: VendorMetric, values: Mapping[LabelValues, float]) -> Family:
        # The text format's writer names a counter NAME_total; one that is called otherwise has no type there.
        return _family(name, metric, "counter" if name.endswith("_total") else "unknown", values)

    def _births(self, name: str, metric: VendorMetric) -> Iterator[Family]:
        if not self._binding.created:
            return
        family = Family(f"{name.removesuffix('_total')}_created", "", "gauge")
        for (born, labels), at in self._created.items():
            if born == name:
                family.add_sample(family.name, dict(zip(metric.labels, labels, strict=True)), at)
        yield family


def _amount(place: _Place, amounts: Amounts) -> float | None:
    value = 1.0 if place.spoken.amount is None else amounts[place.spoken.amount]
    return None if value is None else value * place.spoken.times


def _bounds(metric: VendorMetric) -> tuple[float, ...]:
    assert isinstance(metric.buckets, tuple)  # noqa: S101 - a test looks at every source
    return metric.buckets


def _family(name: str, metric: VendorMetric, kind: str, values: Mapping[LabelValues, float]) -> Family:
    family = Family(name.removesuffix("_total") if kind == "counter" else name, "", kind)
    for labels, value in values.items():
        family.add_sample(name, dict(zip(metric.labels, labels, strict=True)), value)
    return family


def _histogram(name: str, metric: VendorMetric, values: Mapping[LabelValues, Histogram]) -> Family:
    family = Family(name, "", "histogram")
    bounds = [*(str(float(bound)) for bound in _bounds(metric)), "+Inf"]
    for labels, histogram in values.items():
        own = dict(zip(metric.labels, labels, strict=True))
        for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
            family.add_sample(f"{name}_bucket", {**own, "le": bound}, count)
        family.add_sample(f"{name}_count", own, sum(histogram.counts))
        family.add_sample(f"{name}_sum", own, histogram.total)
    return family


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
