"""What series a running Prometheus has of this estate: by metric, by label value, and how many are new."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from tiercli.cardinality.exposition import CATALOG_LABELS
from tiercli.cardinality.reality import Churn
from tiercli.catalog.model import Catalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.rules.alarm_templates import our_matchers
from tiercli.signals.contract import METRICS_BY_NAME

# Counting a million series takes Prometheus seconds.
TIMEOUT_S = 60.0
_CONTRACT = '{__name__=~"ai_gateway_.+"}'
_HOUR_AGO = "1h"


@dataclass(frozen=True, slots=True)
class LiveSeries:
    """Series by metric, a histogram's parts together; by metric, label and value; and what is new."""

    series: Counter[str]
    values: dict[tuple[str, str], Counter[str]]
    churn: Churn


async def look_at_series(client: PrometheusClient, catalog: Catalog) -> LiveSeries:
    """Count what is there now. Raises BackendUnreachable or QueryRejected."""
    ours = ", ".join(our_matchers(catalog))
    series: Counter[str] = Counter()
    for selector in ('{__name__=~"ai_gateway_.+|tier:.+"}', f'{{__name__=~"ALERTS|ALERTS_FOR_STATE", {ours}}}'):
        for one in await client.query(f"count by (__name__) ({selector})"):
            series[_metric(one.labels["__name__"])] += int(one.value)
    values: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for label in sorted(CATALOG_LABELS):
        for one in await client.query(f"count by (__name__, {label}) ({_CONTRACT})"):
            if label in one.labels:
                values[_metric(one.labels["__name__"]), label][one.labels[label]] += int(one.value)
    return LiveSeries(series, dict(values), await _churn(client))


async def _churn(client: PrometheusClient) -> Churn:
    named = 'label_replace({}, "tiercli_metric", "$1", "__name__", "(.+)")'
    now, before = named.format(_CONTRACT), named.format(f"{_CONTRACT} offset {_HOUR_AGO}")
    alive = await client.query(f"count({_CONTRACT})")
    ran_then = await client.query(f"count({_CONTRACT} offset {_HOUR_AGO})")
    created = await client.query(f"count({now} unless {before})")
    number = int(created[0].value) if created else 0
    return Churn(int(alive[0].value) if alive else 0, number if ran_then else None)


def _metric(series: str) -> str:
    for suffix in ("_bucket", "_sum", "_count"):
        base = series.removesuffix(suffix)
        if base != series and base in METRICS_BY_NAME:
            return base
    return series
