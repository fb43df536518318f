"""The metrics that a source exposes, and where the values of their labels come from: this gives the number of series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, PositiveInt

from tiercli.catalog.field_types import Model

# Which part of a catalog gives the values of a source's label. `deployment`: the keys of gateway.deployments; `model` of a
# server: the models that it serves; `gpu`: those of the servers on the host of a target; `tenant_key`: one value for each
# tenant, under another name.
Dimension = Literal["deployment", "provider", "model", "region", "alias", "step", "tenant", "tenant_key", "gpu"]


def created_series(name: str, kind: str) -> str:
    """The series in which Python's client has the time at which a metric was made: of a counter without _total, which the name
    of a histogram can end with too (vllm:iteration_tokens_total)."""
    return f"{name.removesuffix('_total') if kind == 'counter' else name}_created"


class ExposedMetric(Model):
    """One metric. `labels` without job and instance; `le` is understood."""

    type: Literal["counter", "gauge", "histogram", "summary"]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] | PositiveInt | None = Field(
        default=None, description="of a histogram: its bounds, or how many there are, without +Inf"
    )
    values: dict[str, PositiveInt] = Field(
        default={},
        description="of labels, how many values they have here, where `label_values` of the source says another number",
    )
    older: bool = Field(default=False, description="exposed by older versions in place of another metric: not counted")
    unrouted: bool = Field(default=False, description="also counts calls that were refused before they were routed")

    @property
    def finite_buckets(self) -> int:
        """The number of buckets without +Inf."""
        if self.buckets is None:
            return 0
        return self.buckets if isinstance(self.buckets, int) else len(self.buckets)

    def series_per_label_set(self, created: bool) -> int:
        """Series of one label set: of a histogram its buckets, +Inf, the sum and the count; of a summary the last two (Python's client
        has no quantiles). With `created`, also the time of its creation, which that client adds to all but gauges."""
        creation = int(created and self.type != "gauge")
        return {"histogram": self.finite_buckets + 3, "summary": 2}.get(self.type, 1) + creation


class VendorMetric(ExposedMetric):
    """A metric that signals read."""

    def exposed(self, name: str) -> dict[str, tuple[str, ...]]:
        """The labels of each series name that the metric has."""
        if self.type == "histogram":
            return {f"{name}_bucket": (*self.labels, "le"), f"{name}_sum": self.labels, f"{name}_count": self.labels}
        if self.type == "summary":
            return {f"{name}_sum": self.labels, f"{name}_count": self.labels}
        return {name: self.labels}


class UnreadMetrics(ExposedMetric):
    """Metrics of the same kind that no signal reads: they are scraped, and cost as much."""

    names: tuple[str, ...] = Field(min_length=1)
    created: bool | None = Field(default=None, description="where it differs from the rest of the source")


class RecordedOf(Model):
    """The metric that a series is recorded of, where its label sets come from a source and not from the catalog."""

    metric: str
    labels: tuple[str, ...]


class Exposition(Model):
    """Everything that one target of a source exposes.

    `metrics`: those that signals read; `unread`: the rest. `label_values`: by label the dimension of the catalog, or the number
    of values for each combination of the other labels; 1 if not named (it depends on the others, or is constant).
    """

    metrics: dict[str, VendorMetric] = {}
    unread: tuple[UnreadMetrics, ...] = ()
    label_values: dict[str, Dimension | PositiveInt] = {}
    optional: tuple[str, ...] = Field(
        default=(), description="labels that are there in some versions or configurations only: a target may lack them"
    )
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
            if group.older:
                continue
            created = self.created if group.created is None else group.created
            yield from ((name, group, group.series_per_label_set(created)) for name in group.names)
