"""The metrics of a source as it exposes them, and what the values of their labels come from: how many series there can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, PositiveInt

from tiercli.catalog.field_types import Model

# What of a catalog the values of a source's label can be. `deployment` are the keys of gateway.deployments; `model` of a
# server those that it serves; `gpu` those of the servers on the host of a target; `tenant_key` is as many values as tenants,
# by names that are not theirs.
Dimension = Literal["deployment", "provider", "model", "region", "alias", "step", "tenant", "tenant_key", "gpu"]


class ExposedMetric(Model):
    """One metric. `labels` without job and instance; `le` is understood."""

    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] | PositiveInt | None = Field(
        default=None, description="of a histogram: its bounds, or how many there are, without +Inf"
    )
    unrouted: bool = Field(default=False, description="also counts calls that were refused before they were routed")

    @property
    def finite_buckets(self) -> int:
        """How many buckets there are beside +Inf."""
        if self.buckets is None:
            return 0
        return self.buckets if isinstance(self.buckets, int) else len(self.buckets)

    def series_per_label_set(self, created: bool) -> int:
        """Series of one label set: of a histogram its buckets, +Inf, the sum and the count; `created`: and the time of its
        birth, which Python's client adds to counters too."""
        born = int(created and self.type != "gauge")
        return (self.finite_buckets + 3 if self.type == "histogram" else 1) + born


class VendorMetric(ExposedMetric):
    """A metric that signals read."""

    older: bool = Field(default=False, description="what versions exposed that have not its successor: not counted")

    def exposed(self, name: str) -> dict[str, tuple[str, ...]]:
        """The labels of each series name that the metric has."""
        if self.type == "histogram":
            return {f"{name}_bucket": (*self.labels, "le"), f"{name}_sum": self.labels, f"{name}_count": self.labels}
        return {name: self.labels}


class UnreadMetrics(ExposedMetric):
    """Metrics of the same kind that no signal reads: they are scraped, and cost as much."""

    names: tuple[str, ...] = Field(min_length=1)
    created: bool | None = Field(default=None, description="where it differs from the rest of the source")


class RecordedOf(Model):
    """What a series is recorded of, where its label sets are those of a source and not the catalog's."""

    metric: str
    labels: tuple[str, ...]


class Exposition(Model):
    """Everything that one target of a source exposes.

    `metrics`: what signals read; `unread`: the rest. `label_values`: of which dimension of the catalog a label is, or how
    many values it has beside the others; one, where it is not named (it depends on the others, or is always the same).
    """

    metrics: dict[str, VendorMetric] = {}
    unread: tuple[UnreadMetrics, ...] = ()
    label_values: dict[str, Dimension | PositiveInt] = {}
    created: bool = Field(default=False, description="its client adds NAME_created to counters and histograms")
    recorded_of: dict[str, RecordedOf] = Field(
        default={}, description="recorded series that have a label with values of the source's own"
    )

    def counted(self) -> Iterator[tuple[str, ExposedMetric, int]]:
        """Every metric that a current version exposes: its name, what it is, and the series of one label set of it."""
        for name, metric in self.metrics.items():
            if not metric.older:
                yield name, metric, metric.series_per_label_set(self.created)
        for group in self.unread:
            created = self.created if group.created is None else group.created
            yield from ((name, group, group.series_per_label_set(created)) for name in group.names)
