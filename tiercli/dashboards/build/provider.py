"""Provider: each provider, region and model, now against its baseline and its alarm threshold."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.dashboards.build.finish import finish, query_variable
from tiercli.dashboards.build.panels import (
    GREEN,
    OFFER,
    OFFER_NAME,
    ORANGE,
    RED,
    Query,
    bar_gauge,
    firing,
    limit_of,
    stat,
    timeseries,
)

NAME = "provider"
TITLE = "LLM traffic: provider"
DESCRIPTION = (
    "One provider, region and model, or several side by side: now, what is normal there, and where the alarm is."
)


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON."""
    panels = [
        timeseries(
            NAME,
            "Latency",
            "p50, p95 and p99 of attempts. Grey: what p95 usually is; red: where ProviderLatencyHigh begins. All three "
            "up: the region is slow. Only p99 up: a tail.",
            "s",
            [
                Query(f"tier:provider:latency_seconds:p95_5m{OFFER}", f"{OFFER_NAME} p95"),
                Query(f"tier:provider:latency_seconds:p50_5m{OFFER}", f"{OFFER_NAME} p50"),
                Query(f"tier:provider:latency_seconds:p99_5m{OFFER}", f"{OFFER_NAME} p99"),
                Query(f"tier:provider:latency_seconds:p95_5m:baseline{OFFER}", f"{OFFER_NAME} baseline", "baseline"),
                Query(f"tier:provider:latency_seconds:p95_5m:threshold{OFFER}", f"{OFFER_NAME} alarm", "threshold"),
            ],
            (12, 10),
        ),
        timeseries(
            NAME,
            "Error rate",
            "Share of attempts that failed; rate limits, invalid requests and postcondition failures left out. Grey: what "
            "is usual; red: where ProviderErrorRateHigh begins.",
            "percentunit",
            [
                Query(f"tier:provider:error_ratio:rate5m{OFFER}", f"{OFFER_NAME} errors"),
                Query(f"tier:provider:error_ratio:rate5m:baseline{OFFER}", f"{OFFER_NAME} baseline", "baseline"),
                Query(f"tier:provider:error_ratio:rate5m:threshold{OFFER}", f"{OFFER_NAME} alarm", "threshold"),
            ],
            (12, 10),
        ),
        timeseries(
            NAME,
            "Calls per minute",
            "Attempts per minute, failed ones too. None at all: the gateway no longer tries this provider.",
            "short",
            [Query(f"sum by (provider, model, region) (tier:provider:requests:rate5m{OFFER}) * 60", OFFER_NAME)],
            (8, 8),
        ),
        bar_gauge(
            NAME,
            "Top error codes",
            "Failed attempts per second by code, all codes. CONNECTION_FAILED is the way there; UPSTREAM_ERROR is theirs; "
            "UPSTREAM_TIMEOUT is either.",
            "reqps",
            Query(
                f"sort_desc(sum by (code) (tier:provider:errors:rate5m{OFFER})) or on () "
                'label_replace(0 * count(tier:provider:info), "code", "none", "", "")',
                "{{code}}",
                instant=True,
            ),
            (8, 8),
        ),
        firing(NAME, catalog, 'provider=~"${provider}", region=~"${region}"', (8, 8)),
        timeseries(
            NAME,
            "Time to first token",
            "p95 of the time to the first token of streamed attempts: what users feel first.",
            "s",
            [Query(f"tier:provider:ttft_seconds:p95_5m{OFFER}", f"{OFFER_NAME} p95")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Tokens per second",
            "Tokens per second by direction. Output falling with calls unchanged: answers are cut short.",
            "short",
            [Query(f"tier:provider:tokens:rate5m{OFFER}", OFFER_NAME + " {{direction}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Throttled (429)",
            "Share of attempts that the provider answered with 429. Above 0.1 %: tighten the internal cap.",
            "percentunit",
            [
                Query(f"tier:provider:throttle_ratio:rate5m{OFFER}", OFFER_NAME + " throttled"),
                limit_of(f"max(tier:provider:throttle_ratio:threshold{OFFER})", "alarm"),
            ],
            (4, 8),
        ),
        stat(
            NAME,
            "Quota headroom",
            "What is left of the provider's quota, the least of the chosen. At 0 the provider throttles.",
            "percentunit",
            Query(f"min(tier:provider:quota_headroom:ratio{OFFER})", "headroom"),
            (4, 8),
            [(None, RED), (0.1, ORANGE), (0.25, GREEN)],
        ),
        timeseries(
            NAME,
            "Unclassified errors",
            "Failures in 5 minutes that the gateway's translator does not know. Any that go on: the provider has changed.",
            "short",
            [Query(f"tier:provider:unclassified_errors:increase5m{OFFER}", OFFER_NAME)],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Cost per 1,000 calls",
            "US dollars per 1,000 successful attempts; of local servers their GPU hours, spread over the tokens served.",
            "currencyUSD",
            [Query(f"tier:provider:cost_usd_per_1k:ratio5m{OFFER}", OFFER_NAME)],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Within the service level",
            f"Share of attempts that took no longer than {catalog.service_level.latency_seconds:g} s (to the next bucket).",
            "percentunit",
            [Query(f"tier:provider:within_sla:rate5m{OFFER} / (tier:provider:timed:rate5m{OFFER} > 0)", OFFER_NAME)],
            (8, 8),
        ),
    ]
    variables = [
        query_variable("provider", "Provider", "label_values(tier:provider:info, provider)"),
        query_variable("region", "Region", 'label_values(tier:provider:info{provider=~"${provider}"}, region)'),
        query_variable(
            "model",
            "Model",
            'label_values(tier:provider:requests:rate5m{provider=~"${provider}", region=~"${region}"}, model)',
        ),
    ]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, variables, unbound)
