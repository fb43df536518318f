"""What would reduce the series of a metric, and by how much: one label less, rare tenants grouped, fewer buckets, native
histograms."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tiercli.cardinality.combinations import Factor, contract_factors, count_label_sets
from tiercli.cardinality.estate import EstateCounts, Estates
from tiercli.cardinality.plan import Line, series_per_label_set
from tiercli.cardinality.vendor import Part, VendorCounts
from tiercli.catalog.model import Catalog, RareTenants
from tiercli.signals.contract import DURATION_BUCKETS, METRICS_BY_NAME, Metric, MetricType
from tiercli.signals.label_policy import TENANT, metric_policies, tenant_groups

Kind = Literal["drop label", "drop metric", "group rare tenants", "fewer buckets", "native histogram"]
# How many tenants keep their name in what is proposed.
PROPOSED_TOP = 20
# Labels of the contract that no alarm and no panel of tiercli's own needs; a test holds this to what they read.
FREE_LABELS = frozenset({("ai_gateway_response_tokens", "feature")})


@dataclass(frozen=True, slots=True)
class Saving:
    """One way to fewer series. `needed_by`: the alarms and panels that need what would go; None where that is unknown."""

    kind: Kind
    what: str
    saves: int
    needed_by: tuple[str, ...] | None = ()

    @property
    def possible(self) -> bool:
        """Whether nothing needs what would go."""
        return self.needed_by == ()


@dataclass(frozen=True, slots=True)
class Contributor:
    """A label, and the factor by which it multiplies the series."""

    label: str
    factor: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The arithmetic of a metric: each factor of its label sets, the series of each set (`parts`, in words), instances."""

    line: Line
    factors: tuple[Factor, ...]
    parts: str
    contributors: tuple[Contributor, ...]
    savings: tuple[Saving, ...]


class Savings:
    """Works out what would make the metrics of one catalog smaller."""

    def __init__(
        self,
        catalog: Catalog,
        needs: Mapping[tuple[str, str], Collection[str]] | None = None,
        estates: Estates | None = None,
    ) -> None:
        """`needs`: who needs a label of a metric; without it, FREE_LABELS are free and the rest is unknown.
        `estates`: the counts of the same catalog, where others need them too."""
        self._catalog = catalog
        self._needs = needs
        self._policies = metric_policies(catalog)
        self._estates = estates or Estates(catalog)
        self._vendor = VendorCounts(catalog)
        self._grouped = self._estates.of(tenant_groups(catalog, RareTenants(top=PROPOSED_TOP)))

    def contributors(self, line: Line) -> list[Contributor]:
        """The labels of a scraped metric by how much they multiply, most first; empty for other series."""
        if line.kind not in ("contract", "vendor") or not line.series:
            return []
        contributors = []
        for label in line.labels:
            without = self._series_without(line, label)
            contributors.append(Contributor(label, line.series / without if without else 1.0))
        return sorted(contributors, key=lambda contributor: (-contributor.factor, contributor.label))

    def savings(self, line: Line) -> list[Saving]:
        """What would help, most first, with who needs what would go; empty for series that rules record."""
        if line.kind == "contract":
            savings = self._of_contract(line)
        elif line.kind == "vendor":
            savings = list(self._of_vendor(line))
        else:
            return []
        useful = (saving for saving in savings if saving.saves > 0)
        return sorted(useful, key=lambda saving: (not saving.possible, -saving.saves, saving.what))

    def explain(self, line: Line) -> Explanation:
        """The arithmetic of one line of the plan."""
        factors: list[Factor] = []
        parts = "series of each"
        if line.kind == "contract":
            metric = METRICS_BY_NAME[line.name]
            factors = contract_factors(line.name, self._estate(line), line.labels)
            if metric.type is MetricType.HISTOGRAM:
                parts = f"{len(metric.buckets)} buckets + the bucket +Inf + sum + count"
        elif line.kind == "vendor" and len(self._vendor.parts[line.name]) == 1:
            [part] = self._vendor.parts[line.name]
            factors = self._vendor.factors(part.source, part.metric, part.metric.labels)
            parts = _series_in_words(part)
        return Explanation(line, tuple(factors), parts, tuple(self.contributors(line)), tuple(self.savings(line)))

    def _of_contract(self, line: Line) -> list[Saving]:
        metric, estate = METRICS_BY_NAME[line.name], self._estate(line)
        savings = [self._without(line, label, estate) for label in line.labels]
        if TENANT in line.labels and self._policies[line.name].recorded is None:
            sets = count_label_sets(line.name, self._grouped, line.labels)
            what = f"the {PROPOSED_TOP} that spend most keep their name"
            savings.append(Saving("group rare tenants", what, self._less(line, sets, line.series_per_set)))
        return [*savings, *self._smaller_histograms(line, metric)]

    def _of_vendor(self, line: Line) -> Iterator[Saving]:
        """A metric that no signal reads can go; of another one, the labels that no signal reads."""
        parts = self._vendor.parts[line.name]
        readers = {reader for part in parts for reader in part.source.binding.readers(line.name)}
        yield Saving("drop metric", "no signal reads it", line.series if not readers else 0)
        for label in line.labels:
            needed = {signal for part in parts for signal in part.source.binding.readers(line.name, label)}
            saves = line.series - self._series_without(line, label)
            yield Saving("drop label", label, saves, tuple(sorted(needed)))

    def _series_without(self, line: Line, label: str) -> int:
        if line.kind == "vendor":
            return sum(self._vendor.series(part, label) for part in self._vendor.parts[line.name])
        sets = count_label_sets(line.name, self._estate(line), frozenset(line.labels) - {label})
        return sets * line.series_per_set * line.instances

    def _estate(self, line: Line) -> EstateCounts:
        return self._estates.of(self._policies[line.name].groups)

    def _without(self, line: Line, label: str, estate: EstateCounts) -> Saving:
        sets = count_label_sets(line.name, estate, frozenset(line.labels) - {label})
        needed: tuple[str, ...] | None
        if METRICS_BY_NAME[line.name].type is MetricType.GAUGE:
            needed = ("its type: the values of a gauge cannot be added up",)
        elif self._needs is not None:
            needed = tuple(self._needs.get((line.name, label), ()))
        else:
            needed = () if (line.name, label) in FREE_LABELS else None
        return Saving("drop label", label, self._less(line, sets, line.series_per_set), needed)

    def _smaller_histograms(self, line: Line, metric: Metric) -> list[Saving]:
        if metric.type is not MetricType.HISTOGRAM:
            return []
        kept = len(kept_buckets(self._catalog, metric))
        per_set = series_per_label_set(metric) - len(metric.buckets) + kept
        quantiles = ("quantiles are read from its buckets",)
        return [
            Saving(
                "fewer buckets",
                f"{kept} of {len(metric.buckets)}, those near thresholds kept",
                self._less(line, line.label_sets, per_set),
            ),
            Saving("native histogram", "one series a label set", self._less(line, line.label_sets, 1), quantiles),
        ]

    @staticmethod
    def _less(line: Line, label_sets: int, series_per_set: int) -> int:
        return line.series - label_sets * series_per_set * line.instances


def _series_in_words(part: Part) -> str:
    if part.metric.type == "histogram":
        parts = f"{part.metric.finite_buckets} buckets + the bucket +Inf + sum + count"
        return f"{parts} + created" if part.series_per_set > part.metric.finite_buckets + 3 else parts
    if part.metric.type == "summary":
        return "sum + count + created" if part.series_per_set > 2 else "sum + count"
    return "the value + created" if part.series_per_set > 1 else "series of each"


def kept_buckets(catalog: Catalog, metric: Metric) -> tuple[float, ...]:
    """The bounds that stay when every other one goes: the first, the last, and those on both sides of each duration that the
    catalog names (the service level, thresholds, typical values and twice these)."""
    bounds = metric.buckets
    kept = {0, len(bounds) - 1, *range(0, len(bounds), 2)}
    if bounds == DURATION_BUCKETS:
        for level in set(_levels(catalog)):
            above = min(bisect_left(bounds, level), len(bounds) - 1)
            kept |= {above, max(0, above - 1)}
    return tuple(bounds[place] for place in sorted(kept))


def _levels(catalog: Catalog) -> Iterator[float]:
    yield catalog.service_level.latency_seconds
    for settings in catalog.alarms.values():
        for thresholds in (settings.thresholds, *(override.thresholds for override in settings.overrides)):
            yield from (value for name, value in thresholds.items() if name.endswith("_seconds"))
    for provider in catalog.providers.values():
        for region in provider.regions.values():
            typical = region.typical
            if typical is not None:
                yield from (typical.p50_seconds, typical.p95_seconds, 2 * typical.p95_seconds)
