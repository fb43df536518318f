"""The plan against the series that exist: in a Prometheus, or in the text of one target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tiercli.cardinality.plan import Line, Plan
from tiercli.cardinality.scraped_metrics import ScrapedMetrics
from tiercli.catalog.model import Catalog
from tiercli.signals.exposed import exposed_metrics
from tiercli.signals.label_policy import metric_policies

# LiteLLM writes None for no value, and other for a model that it does not know.
_PLACEHOLDERS = ("None", "other")


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric: its series now, and how many the plan allows; None for a metric that the plan does not have. `instances`: how
    many targets like this one share its budget; `dropped`: the catalog drops it at the scrape; `other_version`: the plan has it under
    the name of another version of its source."""

    name: str
    series: int
    planned: int | None
    budget: int | None = None
    instances: int = 1
    dropped: bool = False
    other_version: bool = False

    @property
    def over_budget(self) -> bool:
        """Whether it has more series than its budget allows."""
        return self.budget is not None and self.series * self.instances > self.budget

    @property
    def unexplained(self) -> int:
        """Series beyond what the plan allows."""
        return max(0, self.series - self.planned) if self.planned is not None else 0


@dataclass(frozen=True, slots=True)
class Stranger:
    """A label value that the catalog does not have, and how many series it makes."""

    label: str
    value: str
    series: int
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Churn:
    """Series that are alive, and how many of them did not exist an hour ago; `created` is None where Prometheus has no data of
    that time."""

    alive: int
    created: int | None


@dataclass(frozen=True, slots=True)
class Reality:
    """Everything that was compared, most series first. `foreign`: series of metrics that the plan has under no name; `dropped`: by
    metric, series of one target that Prometheus will not keep, which are in none of the other numbers."""

    lines: tuple[Compared, ...]
    strangers: tuple[Stranger, ...]
    foreign: int
    total: int
    budget: int
    churn: Churn | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def explained(self) -> bool:
        """The verdict: nothing exceeds its budget, and the catalog explains every series."""
        over = self.total > self.budget or any(line.over_budget or line.unexplained for line in self.lines)
        return not over and not self.strangers


def compare(
    catalog: Catalog,
    scraped: ScrapedMetrics,
    plan: Plan,
    series: Mapping[str, int],
    values: Mapping[tuple[str, str], Counter[str]],
    *,
    one_target: bool,
    churn: Churn | None = None,
) -> Reality:
    """Compare a plan with `series` by metric and `values` of `scraped` metrics by metric, label and value. `one_target`: the
    series are those of one target, not all that Prometheus has."""
    planned = {line.name: line for line in plan.lines}
    exposed = exposed_metrics(catalog)
    gone = {part: name for name in plan.dropped for metric in exposed.get(name, ()) for part in metric.series}
    dropped: Counter[str] = Counter()
    for name, count in series.items():
        if name in gone:
            dropped[gone[name]] += count
    known = [_compared(planned[name], count, one_target) for name, count in series.items() if name in planned]
    foreign = {name: count for name, count in series.items() if name not in planned and name not in gone}
    lines = [*known, *(Compared(name, count, None, other_version=name in exposed) for name, count in foreign.items())]
    if one_target:
        values = {key: counts for key, counts in values.items() if key[0] not in plan.dropped}
    else:
        lines += [Compared(name, count, 0, dropped=True) for name, count in dropped.items()]
    total = sum(line.series * line.instances for line in lines)
    return Reality(
        tuple(sorted(lines, key=lambda line: (-line.series, line.name))),
        tuple(
            sorted(
                _strangers(catalog, scraped, values),
                key=lambda stranger: (-stranger.series, stranger.label, stranger.value),
            )
        ),
        sum(count for name, count in foreign.items() if name not in exposed),
        total,
        plan.budget.series,
        churn,
        dropped if one_target else {},
    )


def known_values(catalog: Catalog) -> dict[str, frozenset[str]]:
    """The values of each dimension of the catalog that labels can have. An unknown name becomes an empty value."""
    groups = {policy.groups for policy in metric_policies(catalog).values() if policy.groups is not None}
    offers = list(catalog.offers())
    return {
        "tenant": frozenset({"", *catalog.tenants, *(group.rest for group in groups)}),
        "feature": frozenset({"", *(feature for tenant in catalog.tenants.values() for feature in tenant.features)}),
        "alias": frozenset({"", *catalog.aliases}),
        "provider": frozenset({"", *catalog.providers}),
        "model": frozenset({"", *(offer.model for offer in offers)}),
        "region": frozenset({"", *(region for _, region in catalog.provider_regions())}),
        "deployment": frozenset({"", *catalog.gateway.deployments}),
    }


def _compared(line: Line, series: int, one_target: bool) -> Compared:
    instances = line.instances if one_target else 1
    planned = line.one_target if one_target else line.series
    return Compared(line.name, series, planned, line.budget.series if line.budget else None, instances)


def _strangers(
    catalog: Catalog, scraped: ScrapedMetrics, values: Mapping[tuple[str, str], Counter[str]]
) -> Iterator[Stranger]:
    known = known_values(catalog)
    places_of: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for (metric, label), counts in values.items():
        dimension = scraped.labels.get(metric, {}).get(label)
        if dimension is None:
            continue
        placeholders = () if dimension == label else _PLACEHOLDERS
        for value, count in counts.items():
            if value not in known[dimension] and value not in placeholders:
                places_of.setdefault((label, value), []).append((metric, count))
    for (label, value), places in places_of.items():
        yield Stranger(label, value, sum(count for _, count in places), tuple(sorted(name for name, _ in places)))
