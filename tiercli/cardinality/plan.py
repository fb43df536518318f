"""The plan: how many series each metric can have at most, by what the catalog allows, and the verdict on its budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tiercli.cardinality.combinations import count_identities, count_label_sets, count_recorded
from tiercli.cardinality.estate import EstateCounts, Estates
from tiercli.catalog.model import Catalog, Offer, SeriesBudget
from tiercli.errors import InvalidInput
from tiercli.signals.bindings import CANONICAL_BINDING
from tiercli.signals.contract import CONTRACT, Metric, MetricType
from tiercli.signals.expressions import PROMETHEUS_METRICS
from tiercli.signals.label_policy import TENANT, MetricPolicy, metric_policies
from tiercli.signals.recorded import RECORDED

Kind = Literal["contract", "recorded", "threshold", "alerts", "scrape"]

# up, scrape_duration_seconds, scrape_samples_scraped, scrape_samples_post_metric_relabeling, scrape_series_added.
SERIES_PER_TARGET = 5
# ALERTS once as pending and once as firing, ALERTS_FOR_STATE once.
SERIES_PER_ALERT = {"ALERTS": 2, "ALERTS_FOR_STATE": 1}


@dataclass(frozen=True, slots=True)
class RuleSeries:
    """What the generated rules add. `recorded`: the names of signals/recorded.py that they record; `constants`: how
    many rules record each threshold; `identities`: the labels that tell one alert of an alarm from another; `groups`: the
    rule groups; `reads`: what each recorded series, and each alarm by its name, reads."""

    recorded: frozenset[str] = frozenset(series.name for series in RECORDED)
    constants: Mapping[str, int] = field(default_factory=dict)
    identities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One metric: `label_sets` of one instance, each of `series_per_set` series, on `instances` instances."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    label_sets: int
    series_per_set: int = 1
    instances: int = 1
    budget: SeriesBudget | None = None

    @property
    def series(self) -> int:
        """The most series that this metric can have."""
        return self.label_sets * self.series_per_set * self.instances

    @property
    def over(self) -> bool:
        """Whether there can be more than its budget allows."""
        return self.budget is not None and self.series > self.budget.series


@dataclass(frozen=True, slots=True)
class Plan:
    """Every metric, most series first, and the budget of them all. `not_counted`: what is scraped too, under names of its own."""

    lines: tuple[Line, ...]
    budget: SeriesBudget
    not_counted: tuple[str, ...] = ()

    @property
    def series(self) -> int:
        """The most series that the estate can have in Prometheus."""
        return sum(line.series for line in self.lines)

    @property
    def over(self) -> bool:
        """Whether all of them together exceed the budget of all."""
        return self.series > self.budget.series

    @property
    def breaches(self) -> tuple[Line, ...]:
        """The metrics that exceed budgets of their own."""
        return tuple(line for line in self.lines if line.over)

    @property
    def within(self) -> bool:
        """The verdict: no budget is exceeded."""
        return not self.over and not self.breaches


def plan_series(catalog: Catalog, rules: RuleSeries | None = None, estates: Estates | None = None) -> Plan:
    """Count the series that `catalog` allows, with those of `rules`. Pure; it counts and builds no combination.

    `estates`: the counts of the same catalog, where others need them too. What local inference servers expose under names of their own is not in it: only the five series of their scrape.
    Raises InvalidInput for an alarm whose identity holds a label that cannot be counted.
    """
    rules = rules or RuleSeries()
    policies = metric_policies(catalog)
    counts = _Counts(estates or Estates(catalog), policies, rules.reads)
    budgets = catalog.cardinality.metrics
    instances = len(set(catalog.gateway.targets))
    lines = [
        Line(
            metric.name,
            "contract",
            policies[metric.name].labels,
            count_label_sets(
                metric.name, counts.counted_by(policies[metric.name].groups), policies[metric.name].labels
            ),
            series_per_label_set(metric),
            instances,
            budgets.get(metric.name),
        )
        for metric in CONTRACT
    ]
    lines += [
        Line(
            series.name,
            "recorded",
            series.labels,
            count_recorded(series, counts.read_by(series.name)),
            budget=budgets.get(series.name),
        )
        for series in RECORDED
        if series.name in rules.recorded
    ]
    lines += [Line(name, "threshold", (), count) for name, count in sorted(rules.constants.items())]
    alerts = sum(_identities(counts.read_by(alarm), alarm, labels) for alarm, labels in rules.identities.items())
    if alerts:
        lines += [Line(name, "alerts", ("alertname", "…"), alerts, states) for name, states in SERIES_PER_ALERT.items()]
    servers = {
        server.metrics
        for provider in catalog.providers.values()
        for server in provider.servers.values()
        if server.metrics
    }
    others = sum(len(set(source.targets)) for source in catalog.sources.values())
    targets = instances + len(servers) + others
    targets += 1  # Prometheus itself
    lines.append(Line("up and scrape_*", "scrape", ("job", "instance"), targets, SERIES_PER_TARGET))
    # Of its own metrics those by rule group are kept, and two others.
    own = sum(1 for name in PROMETHEUS_METRICS if name.startswith("prometheus_rule_"))
    lines.append(
        Line("prometheus_*", "scrape", ("rule_group",), own * len(rules.groups) + len(PROMETHEUS_METRICS) - own)
    )
    lines.sort(key=lambda line: (-line.series, line.name))
    return Plan(tuple(lines), catalog.cardinality.total, tuple(_not_counted(catalog)))


def _not_counted(catalog: Catalog) -> Iterator[str]:
    """The targets whose own metrics no line is about. A gateway of a binding stands in the plan with the contract's."""
    if catalog.gateway.binding != CANONICAL_BINDING:
        yield f"the gateway's, of binding {catalog.gateway.binding}: the lines ai_gateway_* stand in their place"
    for name, provider in catalog.providers.items():
        servers = sum(server.metrics is not None for server in provider.servers.values())
        if servers:
            yield f"{servers} server{'s' * (servers > 1)} of {name}"
    for name, source in catalog.sources.items():
        yield f"{name}, of binding {source.binding}"


def series_per_label_set(metric: Metric) -> int:
    """Series that one label set of a metric has: for a histogram its buckets, +Inf, the sum and the count. The
    `_created` series of some clients are not in the contract."""
    if metric.type is not MetricType.HISTOGRAM:
        return 1
    return len(metric.buckets) + 1 + 2


def _identities(estate: EstateCounts, alarm: str, labels: tuple[str, ...]) -> int:
    """The most alerts that an alarm can be at once: combinations of the labels that tell them apart."""
    counted = count_identities(labels, estate)
    if counted is not None:
        return counted
    every = frozenset(labels)
    known = {"tenant": estate.tenants(every), "alias": estate.aliases(every), "server": estate.servers}
    count = estate.offers(every.intersection(Offer._fields)) if every.intersection(Offer._fields) else 1
    for label in labels:
        if label in Offer._fields:
            continue
        if label not in known:
            accepted = ", ".join((*Offer._fields, *known))
            raise InvalidInput(f"alerts of {alarm} by {label!r} cannot be counted", hint=f"counted are: {accepted}")
        count *= known[label]
    return count


class _Counts:
    """The counts of a catalog as each metric's policy groups its tenants, and what a recorded series makes of that."""

    def __init__(
        self, estates: Estates, policies: Mapping[str, MetricPolicy], reads: Mapping[str, frozenset[str]]
    ) -> None:
        self.counted_by = estates.of
        self._policies = policies
        self._reads = reads

    def read_by(self, name: str) -> EstateCounts:
        """For a recorded series or an alarm: tenants grouped as in the metrics that it rests on. Of two that differ, joined by
        tenant, those are left that both have: the coarser grouping counts them, and one too many."""
        found = {
            policy.recorded
            for metric in self._metrics(name)
            if (policy := self._policies.get(metric)) is not None and TENANT in policy.labels
        }
        coarsest = min(found, key=lambda groups: math.inf if groups is None else len(groups.kept), default=None)
        return self.counted_by(coarsest)

    def _metrics(self, name: str) -> set[str]:
        """What is at the end of the chain of rules."""
        seen, waiting = {name}, [name]
        while waiting:
            for read in self._reads.get(waiting.pop(), ()):
                if read not in seen:
                    seen.add(read)
                    waiting.append(read)
        return seen
