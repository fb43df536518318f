"""The series of each scrape target, those that Prometheus adds to it included."""

from __future__ import annotations

from dataclasses import dataclass

from tiercli.cardinality.vendor import VendorCounts
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
        pieces = list(source.pieces())
        if source.same:
            found.append(_of(source.job, source.targets, vendor.exposed(pieces[0]), each=True))
        else:
            found += [_of(source.job, piece.targets, vendor.exposed(piece), each=False) for piece in pieces]
    known = {address for one in found for address in one.addresses if one.job == SERVERS_JOB}
    # Servers whose binding is not named: only their scrape is known.
    bare = [server.metrics for _, _, server in catalog.servers() if server.metrics and server.metrics not in known]
    found += [_of(SERVERS_JOB, (address,), 0, each=True) for address in dict.fromkeys(bare)]
    found.append(_of(PROMETHEUS_JOB, (catalog.prometheus.target,), prometheus, each=True))
    return found


def _of(job: str, addresses: tuple[str, ...], series: int, *, each: bool) -> TargetSeries:
    number = len(addresses)
    return TargetSeries(job, addresses, (series * number if each else series) + number * SERIES_PER_TARGET)
