"""What the targets of each scrape job expose, as far as the bindings of a catalog name it: every metric with all its series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tiercli.catalog.model import Catalog, Source
from tiercli.conventions import GATEWAY_JOB, SERVERS_JOB, source_job
from tiercli.signals.bindings import Binding, binding_names, counts_contract, escaped, known_binding
from tiercli.signals.contract import MetricType
from tiercli.signals.vendor_metrics import created_series

# "": a native histogram, the quantiles of a summary.
_PARTS = {MetricType.HISTOGRAM: ("", "_bucket", "_sum", "_count"), MetricType.SUMMARY: ("", "_sum", "_count")}


@dataclass(frozen=True, slots=True)
class ScrapedMetric:
    """A metric that targets expose, and the labels that they set."""

    name: str
    type: MetricType
    labels: tuple[str, ...]

    @property
    def series(self) -> tuple[str, ...]:
        """The names of all its series: of a histogram or summary its parts, of all but a gauge the time of its creation too; those
        with colons also as some clients write them."""
        names = [f"{self.name}{part}" for part in _PARTS.get(self.type, ("",))]
        if self.type is not MetricType.GAUGE:
            names.append(created_series(self.name, self.type))
        return tuple(dict.fromkeys([*names, *map(escaped, names)]))


def contract_targets(catalog: Catalog) -> dict[str, tuple[Binding, tuple[str, ...]]]:
    """The scrape jobs whose targets expose metrics of the contract: the binding and the addresses of each."""
    named: list[tuple[str, Source]] = [(GATEWAY_JOB, catalog.gateway)]
    named += [(source_job(name), source) for name, source in catalog.sources.items()]
    return {
        job: (known_binding(source.binding), tuple(dict.fromkeys(source.targets)))
        for job, source in named
        if counts_contract(source.binding)
    }


def exposed_by_job(catalog: Catalog) -> Mapping[str, tuple[ScrapedMetric, ...]]:
    """The metrics of each scrape job, by the job's name."""
    jobs: dict[str, dict[ScrapedMetric, None]] = {}
    for job, binding in _bindings(catalog):
        jobs.setdefault(job, {}).update(dict.fromkeys(exposed_by(binding)))
    return {job: tuple(metrics) for job, metrics in jobs.items()}


def exposed_metrics(catalog: Catalog) -> Mapping[str, tuple[ScrapedMetric, ...]]:
    """The same by the metric's name: rarely more than one, of sources that expose the same name."""
    metrics: dict[str, dict[ScrapedMetric, None]] = {}
    for exposed in exposed_by_job(catalog).values():
        for metric in exposed:
            metrics.setdefault(metric.name, {})[metric] = None
    return {name: tuple(alike) for name, alike in metrics.items()}


def exposed_labels(catalog: Catalog) -> dict[str, frozenset[str]]:
    """The labels of every series that the sources of a catalog expose under names of their own, as they are in Prometheus."""
    labels: dict[str, frozenset[str]] = {}
    for _, binding in _bindings(catalog):
        for series, names in binding.exposed_series().items():
            labels[series] = labels.get(series, frozenset()) | names
    return labels


def _bindings(catalog: Catalog) -> Iterator[tuple[str, Binding]]:
    """The scrape jobs of a catalog with the bindings of their targets; unknown bindings are reported elsewhere."""
    named = [(GATEWAY_JOB, catalog.gateway.binding)]
    for provider in catalog.providers.values():
        if provider.binding is not None and any(server.metrics for server in provider.servers.values()):
            named.append((SERVERS_JOB, provider.binding))
    named += [(source_job(name), source.binding) for name, source in catalog.sources.items()]
    known = set(binding_names())
    yield from ((job, known_binding(binding)) for job, binding in dict.fromkeys(named) if binding in known)


def exposed_by(binding: Binding) -> Iterator[ScrapedMetric]:
    """The metrics of a target of one binding, those of older versions too."""
    yield from (ScrapedMetric(metric.name, metric.type, metric.labels) for metric in binding.contract())
    for name, metric in binding.metrics.items():
        yield ScrapedMetric(name, MetricType(metric.type), metric.labels)
    for group in binding.unread:
        yield from (ScrapedMetric(name, MetricType(group.type), group.labels) for name in group.names)
