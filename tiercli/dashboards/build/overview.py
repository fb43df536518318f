"""Cross-tier overview: local against cloud on the same axes, so that routing decisions rest on figures."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.conventions import dashboard_uid
from tiercli.dashboards.build.finish import finish
from tiercli.dashboards.build.panels import GREEN, ORANGE, RED, Query, comparison, drill_down, stat, timeseries

NAME = "overview"
TITLE = "LLM traffic: local and cloud"
DESCRIPTION = "Both tiers on the same axes: traffic, latency, errors, cost, and what falls from one to the other."
# An availability of 30 days, from hourly means; in the first hour from what there is.
_AVAILABLE = "avg_over_time(tier:gateway:available:ratio1h[30d]) or avg_over_time(tier:gateway:available:bool[1h])"


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON; None when no source has any of it."""
    provider = f"/d/{dashboard_uid('provider', catalog.estate, catalog.env)}?var-datasource=${{datasource}}"
    to_provider = drill_down(
        "Open the provider",
        provider
        + "&var-provider=${__data.fields.provider:percentencode}&var-region=${__data.fields.region:percentencode}"
        + "&var-model=${__data.fields.model:percentencode}",
    )
    panels = [
        timeseries(
            NAME,
            "Traffic share",
            "Share of attempts by tier. A shift without a change of weights is a fallback: see the flow between tiers.",
            "percentunit",
            [Query("tier:tier:requests:rate5m / on () group_left () (sum(tier:tier:requests:rate5m) > 0)", "{{tier}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Latency by tier",
            "p50, p95 and p99 of attempts, mean over a tier's providers weighted by their traffic.",
            "s",
            [
                Query("tier:tier:latency_seconds:p95_5m", "{{tier}} p95"),
                Query("tier:tier:latency_seconds:p50_5m", "{{tier}} p50"),
                Query("tier:tier:latency_seconds:p99_5m", "{{tier}} p99"),
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Error rate by tier",
            "Share of attempts that failed; rate limits, invalid requests and postcondition failures left out.",
            "percentunit",
            [Query("tier:tier:error_ratio:rate5m", "{{tier}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Cost per 1,000 calls",
            "US dollars per 1,000 successful attempts. The local tier's is its GPU hours spread over the tokens that it "
            "serves: idle GPUs make it dear.",
            "currencyUSD",
            [Query("tier:tier:cost_usd_per_1k:ratio5m", "{{tier}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Time to first token by tier",
            "p95 of the time to the first token of streamed attempts: what users feel first.",
            "s",
            [Query("tier:tier:ttft_seconds:p95_5m", "{{tier}} p95")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Fallback flow",
            "Calls per minute that a fallback answered, from the tier of the alias's primary to the tier that answered. "
            "Local to cloud costs money; cloud to local takes capacity.",
            "short",
            [Query("tier:tier:fallbacks:rate5m * 60", "{{from_tier}} to {{to_tier}}")],
            (8, 8),
        ),
        comparison(
            NAME,
            "Candidates compared",
            "Every provider, region and model on the same axes, now. Sort by what you would route by; click for its board.",
            {
                "calls/min": (
                    "sum by (provider, region, model) (tier:provider:requests:rate5m) * 60",
                    "short",
                ),
                "p95": ("tier:provider:latency_seconds:p95_5m", "s"),
                "TTFT p95": ("tier:provider:ttft_seconds:p95_5m", "s"),
                "errors": ("tier:provider:error_ratio:rate5m", "percentunit"),
                "USD per 1k": ("tier:provider:cost_usd_per_1k:ratio5m", "currencyUSD"),
            },
            (24, 8),
            first="calls/min",
            overrides=[
                {
                    "matcher": {"id": "byName", "options": "provider"},
                    "properties": [{"id": "links", "value": [to_provider]}],
                }
            ],
        ),
        stat(
            NAME,
            "Gateway availability, 30 days",
            "Share of the last 30 days in which at least one gateway instance was healthy.",
            "percentunit",
            Query(_AVAILABLE, "available"),
            (6, 6),
            [(None, RED), (0.999, ORANGE), (0.9995, GREEN)],
            decimals=3,
        ),
        timeseries(
            NAME,
            "Within the service level",
            f"Share of attempts that took no longer than {catalog.service_level.latency_seconds:g} s (to the next bucket of "
            "the histogram).",
            "percentunit",
            [Query("tier:tier:within_sla:ratio5m", "{{tier}}")],
            (6, 6),
        ),
        timeseries(
            NAME,
            "Local queue depth",
            "Requests waiting at the local servers. When it grows, the local tier is full and calls fall to the cloud.",
            "short",
            [Query("sum by (server) (tier:server:queue_depth:sum)", "{{server}}")],
            (6, 6),
        ),
        timeseries(
            NAME,
            "GPU utilisation",
            "Mean of the local GPUs over 10 minutes, by host. Above 90 %: plan capacity.",
            "percentunit",
            [Query("avg by (instance) (tier:gpu:utilization:mean10m)", "{{instance}}")],
            (6, 6),
        ),
        timeseries(
            NAME,
            "Tokens per second",
            "Tokens by tier and direction. Input falls with traffic; output alone falling means shorter answers.",
            "short",
            [Query("tier:tier:tokens:rate5m", "{{tier}} {{direction}}")],
            (24, 7),
        ),
    ]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, [], unbound)
