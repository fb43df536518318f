"""The series of each scrape target, those that Prometheus adds to it included."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from tiercli.cardinality.vendor import VendorCounts, VendorSource, host_of
from tiercli.catalog.model import Catalog
from tiercli.conventions import GATEWAY_JOB, PROMETHEUS_JOB, SERVERS_JOB
from tiercli.signals.bindings import CANONICAL_BINDING

# up, scrape_duration_seconds, scrape_samples_scraped, scrape_samples_post_metric_relabeling, scrape_series_added.
SERIES_PER_TARGET = 5


@dataclass(frozen=True, slots=True)
class TargetSeries:
    """Targets of one job that have the same number of series each. `each` None: it is not known how they share them."""

    job: str
    addresses: tuple[str, ...]
    series: int

    @property
    def each(self) -> int | None:
        """The series of one of them."""
        share, rest = divmod(self.series, len(self.addresses))
        return None if rest else share


def scraped_targets(catalog: Catalog, vendor: VendorCounts, contract: int, prometheus: int) -> list[TargetSeries]:
    """Every target that the generated configuration scrapes. `contract`: what one gateway instance exposes of the contract;
    `prometheus`: what is kept of Prometheus' own metrics."""
    found: list[TargetSeries] = []
    if catalog.gateway.binding == CANONICAL_BINDING:
        found.append(_of(GATEWAY_JOB, tuple(dict.fromkeys(catalog.gateway.targets)), contract, each=True))
    for source in vendor.sources:
        found += _of_source(vendor, source)
    known = {address for one in found for address in one.addresses if one.job == SERVERS_JOB}
    # Servers whose binding is not named: only their scrape is known.
    bare = [server.metrics for _, _, server in catalog.servers() if server.metrics and server.metrics not in known]
    found += [_of(SERVERS_JOB, (address,), 0, each=True) for address in dict.fromkeys(bare)]
    found.append(_of(PROMETHEUS_JOB, (catalog.prometheus.target,), prometheus, each=True))
    return found


def _of_source(vendor: VendorCounts, source: VendorSource) -> Iterator[TargetSeries]:
    if source.same:
        alone = dataclasses.replace(source, targets=source.targets[:1])
        yield _of(source.job, source.targets, vendor.exposed(alone), each=True)
        return
    shared = []
    for target in source.targets:
        servers = tuple(one for one in source.servers if one.metrics and _shows(source, target, one.metrics))
        if servers:
            alone = dataclasses.replace(source, targets=(target,), servers=servers)
            yield _of(source.job, (target,), vendor.exposed(alone), each=True)
        else:
            shared.append(target)
    if shared:
        rest = tuple(
            one
            for one in source.servers
            if not any(_shows(source, target, one.metrics or "") for target in source.targets)
        )
        together = dataclasses.replace(source, targets=tuple(shared), servers=rest)
        yield _of(source.job, tuple(shared), vendor.exposed(together), each=False)


def _shows(source: VendorSource, target: str, metrics: str) -> bool:
    """Whether a target is the server's own, or shows the GPUs of its host."""
    return target == metrics if source.binding.kind == "servers" else host_of(target) == host_of(metrics)


def _of(job: str, addresses: tuple[str, ...], series: int, *, each: bool) -> TargetSeries:
    number = len(addresses)
    return TargetSeries(job, addresses, (series * number if each else series) + number * SERIES_PER_TARGET)
