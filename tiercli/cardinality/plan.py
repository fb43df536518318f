"""The plan: how many series each metric can have at most, what they cost, and whether they fit the budgets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tiercli.cardinality.combinations import count_alerts, count_label_sets, count_recorded
from tiercli.cardinality.estate import EstateCounts, Estates
from tiercli.cardinality.vendor import Part, VendorCounts
from tiercli.catalog.model import Catalog, Drops, SeriesBudget
from tiercli.conventions import PROMETHEUS_JOB, SERVERS_JOB
from tiercli.durations import parse_duration
from tiercli.signals.contract import CONTRACT, Metric, MetricType
from tiercli.signals.exposed import contract_targets
from tiercli.signals.expressions import PROMETHEUS_METRICS, all_read
from tiercli.signals.label_policy import TENANT, MetricPolicy, metric_policies
from tiercli.signals.recorded import RECORDED

Kind = Literal["contract", "vendor", "recorded", "threshold", "alerts", "scrape"]

# ALERTS once as pending and once as firing, ALERTS_FOR_STATE once.
SERIES_PER_ALERT = {"ALERTS": 2, "ALERTS_FOR_STATE": 1}
# up, scrape_duration_seconds, scrape_samples_scraped, scrape_samples_post_metric_relabeling, scrape_series_added.
SERIES_PER_TARGET = 5
# A rule of thumb as of Prometheus 2.20, samples and remote write included; real ones depend on labels and churn.
BYTES_PER_SERIES = 3_000
BYTES_SOURCE = "3 kB a series in the head, https://www.robustperception.io/why-does-prometheus-use-so-much-ram"


@dataclass(frozen=True, slots=True)
class RuleSeries:
    """What the generated rules add. `recorded`: the names of signals/recorded.py that they record; `constants`: how
    many rules record each threshold; `identities`: the labels that tell one alert of an alarm from another; `groups`: the
    rule groups; `reads`: what each recorded series, and each alarm by its name, reads."""

    recorded: frozenset[str] = frozenset(series.name for series in RECORDED)
    constants: Mapping[str, int] = field(default_factory=dict)
    identities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    reads: Mapping[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One metric: `label_sets` of one instance, each of `series_per_set` series, on `instances` instances. `largest`: of
    targets that share the label sets, the most that one of them has."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    label_sets: int
    series_per_set: int = 1
    instances: int = 1
    budget: SeriesBudget | None = None
    largest: int | None = None

    @property
    def one_target(self) -> int:
        """The most series of it that one target can expose."""
        return self.label_sets * self.series_per_set if self.largest is None else self.largest

    @property
    def series(self) -> int:
        """The most series that this metric can have."""
        return self.label_sets * self.series_per_set * self.instances

    @property
    def over(self) -> bool:
        """Whether there can be more than its budget allows."""
        return self.budget is not None and self.series > self.budget.series


@dataclass(frozen=True, slots=True)
class TargetSeries:
    """Targets of one job that have the same number of series each. `each` None: it is not known how they share them."""

    job: str
    addresses: tuple[str, ...]
    series: int

    @property
    def each(self) -> int | None:
        """The series of one target."""
        share, rest = divmod(self.series, len(self.addresses))
        return None if rest else share


@dataclass(frozen=True, slots=True)
class Plan:
    """Every metric, most series first, the budget of them all, and what is scraped of each target. `not_counted`: servers whose
    own metrics are scraped and unknown; `dropped`: metrics that are dropped at the scrape."""

    lines: tuple[Line, ...]
    budget: SeriesBudget
    targets: tuple[TargetSeries, ...] = ()
    not_counted: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

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

    `estates`: the counts of the same catalog, where others need them too. Metrics that sources
    expose under names of their own are counted where their bindings list them. Raises InvalidInput for an alarm whose identity holds a label that cannot be
    counted.
    """
    rules = rules or RuleSeries()
    policies = metric_policies(catalog)
    counts = _Counts(estates or Estates(catalog), policies, rules.reads)
    budgets = catalog.cardinality.metrics
    vendor = VendorCounts(catalog)
    drops = catalog.cardinality.drop
    counting = contract_targets(catalog)
    instances: Counter[str] = Counter()
    for binding, addresses in counting.values():
        instances.update({metric.name: len(addresses) for metric in binding.contract()})
    lines = _contract_lines(counts, policies, budgets, instances, drops)
    lines += [_vendor_line(vendor, name, parts, budgets.get(name)) for name, parts in vendor.parts.items()]
    lines += [
        Line(
            series.name,
            "recorded",
            series.labels,
            own
            if (own := vendor.recorded(series.name)) is not None
            else count_recorded(series, counts.read_by(series.name)),
            budget=budgets.get(series.name),
        )
        for series in RECORDED
        if series.name in rules.recorded
    ]
    lines += [Line(name, "threshold", (), count) for name, count in sorted(rules.constants.items())]
    alerts = sum(count_alerts(alarm, labels, counts.read_by(alarm)) for alarm, labels in rules.identities.items())
    if alerts:
        lines += [Line(name, "alerts", ("alertname", "…"), alerts, states) for name, states in SERIES_PER_ALERT.items()]
    # Of Prometheus' own metrics, those by rule group are kept, and two others.
    by_group = sum(1 for name in PROMETHEUS_METRICS if name.startswith("prometheus_rule_"))
    own = by_group * len(rules.groups) + len(PROMETHEUS_METRICS) - by_group
    lines.append(Line("prometheus_*", "scrape", ("rule_group",), own))
    sizes = {line.name: line.label_sets * line.series_per_set for line in lines if line.kind == "contract"}
    exposed = {
        job: (addresses, sum(sizes.get(metric.name, 0) for metric in binding.contract()))
        for job, (binding, addresses) in counting.items()
    }
    targets = _targets(catalog, vendor, exposed, own)
    scraped = sum(len(target.addresses) for target in targets)
    lines.append(Line("up and scrape_*", "scrape", ("job", "instance"), scraped, SERIES_PER_TARGET))
    lines.sort(key=lambda line: (-line.series, line.name))
    return Plan(
        tuple(lines), catalog.cardinality.total, tuple(targets), tuple(_not_counted(catalog)), tuple(drops.metrics)
    )


def _not_counted(catalog: Catalog) -> Iterator[str]:
    for name, provider in catalog.providers.items():
        servers = sum(server.metrics is not None for server in provider.servers.values())
        if servers and provider.binding is None:
            yield f"{servers} server{'s' * (servers > 1)} of {name}, which has no binding"


def _contract_lines(
    counts: _Counts,
    policies: Mapping[str, MetricPolicy],
    budgets: Mapping[str, SeriesBudget],
    instances: Mapping[str, int],
    drops: Drops,
) -> list[Line]:
    lines = []
    for metric in CONTRACT:
        if metric.name in drops.metrics or not instances[metric.name]:
            continue
        policy, gone = policies[metric.name], drops.labels.get(metric.name, ())
        labels = tuple(label for label in policy.labels if label not in gone)
        sets = count_label_sets(metric.name, counts.counted_by(policy.groups), labels)
        per_set = series_per_label_set(metric)
        lines.append(
            Line(metric.name, "contract", labels, sets, per_set, instances[metric.name], budgets.get(metric.name))
        )
    return lines


def _vendor_line(vendor: VendorCounts, name: str, parts: Sequence[Part], budget: SeriesBudget | None) -> Line:
    """The line of a metric that a source has under a name of its own; of several sources all together."""
    labels = tuple(dict.fromkeys(label for part in parts for label in part.metric.labels))
    if len(parts) == 1:
        [part] = parts
        sets = vendor.label_sets(part.source, part.metric)
        largest = None if part.source.same else vendor.largest(part)
        return Line(name, "vendor", labels, sets, part.series_per_set, part.source.instances, budget, largest)
    largest = max(map(vendor.largest, parts))
    return Line(name, "vendor", labels, sum(map(vendor.series, parts)), budget=budget, largest=largest)


def series_per_label_set(metric: Metric) -> int:
    """Series that one label set of a metric has: for a histogram its buckets, +Inf, the sum and the count. The
    `_created` series of some clients are not in the contract."""
    if metric.type is not MetricType.HISTOGRAM:
        return 1
    return len(metric.buckets) + 1 + 2


def _targets(
    catalog: Catalog, vendor: VendorCounts, contract: Mapping[str, tuple[tuple[str, ...], int]], prometheus: int
) -> list[TargetSeries]:
    """Every target that the generated configuration scrapes. `contract`: by job its targets, and what one of them exposes of the
    contract; `prometheus`: what is kept of Prometheus' own metrics."""
    others = {source.job for source in vendor.sources}
    targets = [_of(job, *exposed, each=True) for job, exposed in contract.items() if job not in others]
    for source in vendor.sources:
        pieces = list(source.pieces())
        if source.same:
            _, of_contract = contract.get(source.job, ((), 0))
            targets.append(_of(source.job, source.targets, vendor.exposed(pieces[0]) + of_contract, each=True))
        else:
            targets += [_of(source.job, piece.targets, vendor.exposed(piece), each=False) for piece in pieces]
    known = {address for target in targets for address in target.addresses if target.job == SERVERS_JOB}
    # Servers whose binding is not named: only their scrape is known.
    bare = [server.metrics for _, _, server in catalog.servers() if server.metrics and server.metrics not in known]
    targets += [_of(SERVERS_JOB, (address,), 0, each=True) for address in dict.fromkeys(bare)]
    targets.append(_of(PROMETHEUS_JOB, (catalog.prometheus.target,), prometheus, each=True))
    return targets


def _of(job: str, addresses: tuple[str, ...], series: int, *, each: bool) -> TargetSeries:
    number = len(addresses)
    return TargetSeries(job, addresses, (series * number if each else series) + number * SERIES_PER_TARGET)


class _Counts:
    """The counts of a catalog, by how the policy of each metric groups its tenants."""

    def __init__(self, estates: Estates, policies: Mapping[str, MetricPolicy], reads: Mapping[str, set[str]]) -> None:
        self.counted_by = estates.of
        self._policies = policies
        self._reads = reads

    def read_by(self, name: str) -> EstateCounts:
        """The counts for a recorded series or an alarm: tenants grouped as in the metrics that it reads. Where two of these are
        grouped differently and joined by tenant, the coarser grouping counts (one too many)."""
        groupings = {
            policy.recorded
            for metric in all_read([name], self._reads)
            if (policy := self._policies.get(metric)) is not None and TENANT in policy.labels
        }
        coarsest = min(groupings, key=lambda groups: math.inf if groups is None else len(groups.kept), default=None)
        return self.counted_by(coarsest)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of memory for the series, without what Prometheus itself and queries need; samples per second that are scraped, and
    that rules record."""

    memory_bytes: int
    scraped_per_s: float
    recorded_per_s: float


def footprint(plan: Plan, scrape_interval: str, evaluation_interval: str) -> Footprint:
    """The footprint of a plan. Raises ValueError for a text that is no duration."""
    scraped = sum(line.series for line in plan.lines if line.kind in ("contract", "vendor", "scrape"))
    return Footprint(
        plan.series * BYTES_PER_SERIES,
        scraped / parse_duration(scrape_interval),
        (plan.series - scraped) / parse_duration(evaluation_interval),
    )
