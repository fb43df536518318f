"""Which buckets of a histogram could go: not those that quantiles near a threshold, or what is usual, are read from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from tiercli.catalog.model import Catalog
from tiercli.signals.contract import DURATION_BUCKETS, Metric


def kept_buckets(catalog: Catalog, metric: Metric) -> tuple[float, ...]:
    """The bounds that are left where every other one goes: the first and the last stay, and on either side of each level that
    the catalog names for durations (a promise, a threshold, what is usual and twice that)."""
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
        every: Sequence[dict[str, float]] = [settings.thresholds, *(one.thresholds for one in settings.overrides)]
        yield from (value for some in every for key, value in some.items() if key.endswith("_seconds"))
    for provider in catalog.providers.values():
        for region in provider.regions.values():
            usual = region.typical
            if usual is not None:
                yield from (usual.p50_seconds, usual.p95_seconds, 2 * usual.p95_seconds)
