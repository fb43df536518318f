"""How many series of this estate a running Prometheus has: by metric, by label value, and how many are new."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from tiercli.cardinality.reality import Churn
from tiercli.cardinality.scraped_metrics import ScrapedMetrics
from tiercli.cardinality.vendor import VendorCounts
from tiercli.catalog.model import Catalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.conventions import RECORD_PREFIX
from tiercli.rules.alarm_templates import our_matchers
from tiercli.signals.exposed import contract_targets
from tiercli.signals.promql import any_of, matcher

# Counting a million series takes Prometheus seconds.
TIMEOUT_S = 60.0
_HOUR_AGO = "1h"
_CONTRACT = "ai_gateway_.+"
# What carries a job and is not exposed: Prometheus' own about each scrape, and what rules make of that.
_NOT_EXPOSED = f"up|scrape_.+|{RECORD_PREFIX}:.+|ALERTS|ALERTS_FOR_STATE"
# With the metric's name as a label: `unless` does not look at names.
_NAMED = 'label_replace({}, "tiercli_metric", "$1", "__name__", "(.+)")'


@dataclass(frozen=True, slots=True)
class LiveSeries:
    """Series by metric, a histogram's parts together; by metric, label and value; and what is new."""

    series: Counter[str]
    values: dict[tuple[str, str], Counter[str]]
    churn: Churn


async def fetch_series(client: PrometheusClient, catalog: Catalog, scraped: ScrapedMetrics) -> LiveSeries:
    """Count the series that exist now. Raises BackendUnreachable or QueryRejected."""
    exposed = _exposed(catalog)
    alerts = f'{{__name__=~"ALERTS|ALERTS_FOR_STATE", {", ".join(our_matchers(catalog))}}}'
    series: Counter[str] = Counter()
    for selector in (*exposed, f'{{__name__=~"{RECORD_PREFIX}:.+"}}', alerts):
        for sample in await client.query(f"count by (__name__) ({selector})"):
            series[scraped.family(sample.labels["__name__"])] += int(sample.value)
    values: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for label in sorted(scraped.watched):
        for selector in exposed:
            for sample in await client.query(f"count by (__name__, {label}) ({selector})"):
                family = scraped.family(sample.labels["__name__"])
                if label in sample.labels and label in scraped.labels.get(family, ()):
                    values[family, label][sample.labels[label]] += int(sample.value)
    return LiveSeries(series, dict(values), await _churn(client, exposed))


def _exposed(catalog: Catalog) -> list[str]:
    """Selectors of the series that the sources of a catalog expose, no two of which overlap; the contract's metrics
    whoever exposes them."""
    jobs = list(dict.fromkeys(source.job for source in VendorCounts(catalog).sources))
    own = f'{{{matcher("job", "=~", any_of(jobs))}, __name__!~"{_NOT_EXPOSED}|{_CONTRACT}"}}'
    counted = contract_targets(catalog)
    return [*([f'{{__name__=~"{_CONTRACT}"}}'] if counted else []), *([own] if jobs else [])]


async def _churn(client: PrometheusClient, exposed: list[str]) -> Churn:
    alive = created = before = 0.0
    for now in exposed:
        then = f"{now} offset {_HOUR_AGO}"
        alive += await _number(client, f"count({now})")
        before += await _number(client, f"count({then})")
        created += await _number(client, f"count({_NAMED.format(now)} unless {_NAMED.format(then)})")
    return Churn(int(alive), int(created) if before else None)


async def _number(client: PrometheusClient, expr: str) -> float:
    samples = await client.query(expr)
    return samples[0].value if samples else 0.0
