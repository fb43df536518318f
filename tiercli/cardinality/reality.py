"""The plan against what is there: in a Prometheus, or in the text of one target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tiercli.cardinality.exposition import ScrapedMetrics
from tiercli.cardinality.plan import Line, Plan
from tiercli.catalog.model import Catalog
from tiercli.signals.label_policy import metric_policies

_NOBODY = ("None", "other")


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric: series that are there, and how many there can be by the plan; None for a metric that it does not have.
    `budget_share`: of its budget, if it has one, as if every instance were like this one."""

    name: str
    there: int
    planned: int | None
    budget: int | None = None
    instances: int = 1

    @property
    def over_budget(self) -> bool:
        """Whether there is more than its budget allows."""
        return self.budget is not None and self.there * self.instances > self.budget

    @property
    def unexplained(self) -> int:
        """Series beyond what the plan allows."""
        return max(0, self.there - self.planned) if self.planned is not None else 0


@dataclass(frozen=True, slots=True)
class Stranger:
    """A label value that the catalog does not have, and how many series it makes."""

    label: str
    value: str
    series: int
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Churn:
    """Series that are alive, and those of them that were not there an hour ago. Where Prometheus did not run then, `created` is
    None."""

    alive: int
    created: int | None


@dataclass(frozen=True, slots=True)
class Reality:
    """Everything that was compared, most series first. `foreign`: series of metrics that the plan does not have."""

    lines: tuple[Compared, ...]
    strangers: tuple[Stranger, ...]
    foreign: int
    total: int
    budget: int
    churn: Churn | None = None

    @property
    def explained(self) -> bool:
        """The verdict: nothing is over its budget, and the catalog explains what is there."""
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
    """Compare a plan with `series` by metric and `values` of `scraped` metrics by metric, label and value. `one_target`: it is
    the text of one target, and not of all that Prometheus has."""
    planned = {line.name: line for line in plan.lines}
    known = [_compared(planned[name], there, one_target) for name, there in series.items() if name in planned]
    foreign = {name: there for name, there in series.items() if name not in planned}
    lines = [*known, *(Compared(name, there, None) for name, there in foreign.items())]
    total = sum(line.there * line.instances for line in lines)
    return Reality(
        tuple(sorted(lines, key=lambda line: (-line.there, line.name))),
        tuple(sorted(_strangers(catalog, scraped, values), key=lambda one: (-one.series, one.label, one.value))),
        sum(foreign.values()),
        total,
        plan.budget.series,
        churn,
    )


def known_values(catalog: Catalog) -> dict[str, frozenset[str]]:
    """The values of each dimension of the catalog that labels can have. Empty is what an unknown name becomes."""
    groups = {policy.groups for policy in metric_policies(catalog).values() if policy.groups is not None}
    offers = list(catalog.offers())
    return {
        "tenant": frozenset({"", *catalog.tenants, *(one.rest for one in groups)}),
        "feature": frozenset({"", *(feature for tenant in catalog.tenants.values() for feature in tenant.features)}),
        "alias": frozenset({"", *catalog.aliases}),
        "provider": frozenset({"", *catalog.providers}),
        "model": frozenset({"", *(offer.model for offer in offers)}),
        "region": frozenset({"", *(region for _, region in catalog.provider_regions())}),
        "deployment": frozenset({"", *catalog.gateway.deployments}),
    }


def _compared(line: Line, there: int, one_target: bool) -> Compared:
    instances = line.instances if one_target else 1
    planned = line.one_target if one_target else line.series
    return Compared(line.name, there, planned, line.budget.series if line.budget else None, instances)


def _strangers(
    catalog: Catalog, scraped: ScrapedMetrics, values: Mapping[tuple[str, str], Counter[str]]
) -> Iterator[Stranger]:
    known = known_values(catalog)
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for (metric, label), counts in values.items():
        dimension = scraped.labels.get(metric, {}).get(label)
        if dimension is None:
            continue
        # What a label is of that depends on none: LiteLLM writes None, and other for a model that it does not know.
        nobody = () if dimension == label else _NOBODY
        for value, count in counts.items():
            if value not in known[dimension] and value not in nobody:
                found.setdefault((label, value), []).append((metric, count))
    for (label, value), places in found.items():
        yield Stranger(label, value, sum(count for _, count in places), tuple(sorted(name for name, _ in places)))
