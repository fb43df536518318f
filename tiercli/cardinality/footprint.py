"""What series cost Prometheus: memory, and samples per second."""

from __future__ import annotations

from dataclasses import dataclass

from tiercli.cardinality.plan import Plan
from tiercli.durations import parse_duration

# A rule of thumb as of Prometheus 2.20, samples and remote write included; real ones depend on labels and churn.
BYTES_PER_SERIES = 3_000
SOURCE = "3 kB a series in the head, https://www.robustperception.io/why-does-prometheus-use-so-much-ram"


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of memory for the series, beside what Prometheus takes for itself and for queries; samples each second that are
    scraped and that rules record."""

    memory_bytes: int
    scraped_per_s: float
    recorded_per_s: float


def footprint(plan: Plan, scrape_interval: str, evaluation_interval: str) -> Footprint:
    """The footprint of a plan. Raises ValueError for intervals that are none."""
    scraped = sum(line.series for line in plan.lines if line.kind in ("contract", "vendor", "scrape"))
    return Footprint(
        plan.series * BYTES_PER_SERIES,
        scraped / parse_duration(scrape_interval),
        (plan.series - scraped) / parse_duration(evaluation_interval),
    )
