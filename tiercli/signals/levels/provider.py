"""Provider, region and model: attempts, so that a fallback cannot hide a dead provider."""

from __future__ import annotations

from typing import Final

from tiercli.signals.recorded_series import OFFER, Recorded

_G: Final = "gateway"

SERIES: tuple[Recorded, ...] = (
    # What the catalog knows and the gateway does not: constants to join.
    Recorded("tier:provider:info", ("provider", "region", "tier"), "1 for each provider and region of the catalog."),
    Recorded(
        "tier:provider:price_usd_per_token",
        ("provider", "model", "direction"),
        "US dollars per token by the price book.",
        "currencyUSD",
    ),
    Recorded(
        "tier:provider:gpu_cost_usd:rate",
        ("provider", "region"),
        "US dollars per second that the GPUs of a local provider and region cost, used or not.",
        "currencyUSD",
    ),
    # Primitive.
    Recorded("tier:provider:requests:rate5m", (*OFFER, "status"), "Attempts per second over 5 minutes.", "reqps", _G),
    Recorded(
        "tier:provider:requests:increase1m", ("provider", "region", "status"), "Attempts in 1 minute.", "short", _G
    ),
    Recorded("tier:provider:requests:increase5m", OFFER, "Attempts in 5 minutes: the traffic guard.", "short", _G),
    Recorded(
        "tier:provider:errors:rate5m", (*OFFER, "code"), "Failed attempts per second by code.", "reqps", _G, rare=True
    ),
    Recorded("tier:provider:latency_seconds:p50_5m", OFFER, "Median attempt duration.", "s", _G),
    Recorded("tier:provider:latency_seconds:p95_5m", OFFER, "95th percentile of attempt duration.", "s", _G),
    Recorded("tier:provider:latency_seconds:p99_5m", OFFER, "99th percentile of attempt duration.", "s", _G),
    Recorded("tier:provider:ttft_seconds:p95_5m", OFFER, "95th percentile of time to first token.", "s", _G),
    Recorded(
        "tier:provider:within_sla:rate5m",
        OFFER,
        "Attempts per second that took no longer than the service level (to the histogram's next bucket).",
        "reqps",
        _G,
    ),
    Recorded("tier:provider:timed:rate5m", OFFER, "Attempts per second whose duration was measured.", "reqps", _G),
    Recorded("tier:provider:tokens:rate5m", (*OFFER, "direction"), "Tokens per second.", "short", _G),
    Recorded("tier:provider:quota_headroom:ratio", OFFER, "What is left of the quota.", "percentunit", _G),
    Recorded(
        "tier:provider:unclassified_errors:increase5m",
        OFFER,
        "Failures in 5 minutes that the translator does not know, the first of its kind included.",
        "short",
        _G,
        rare=True,
    ),
    Recorded(
        "tier:provider:unpriced_requests:increase5m",
        OFFER,
        "Attempts in 5 minutes that no price covers, the first included.",
        "short",
        _G,
        rare=True,
    ),
    Recorded(
        "tier:provider:postcondition_violations:increase5m",
        ("provider", "model", "alias"),
        "Answers of the wrong shape in 5 minutes, the first of its kind included.",
        "short",
        _G,
        rare=True,
    ),
    Recorded(
        "tier:provider:credentials_issued:rate5m", ("provider",), "Credentials handed out per second.", "short", _G
    ),
    # Derived: the same for every source.
    Recorded(
        "tier:provider:error_ratio:rate5m",
        OFFER,
        "Share of attempts that failed, own-alarm codes left out.",
        "percentunit",
    ),
    Recorded(
        "tier:provider:region_error_ratio:rate5m",
        ("provider", "region"),
        "The same for a provider and region over all its models.",
        "percentunit",
    ),
    Recorded("tier:provider:throttle_ratio:rate5m", OFFER, "Share of attempts answered 429.", "percentunit"),
    Recorded(
        "tier:provider:input_tokens_per_request:ratio5m",
        OFFER,
        "Input tokens, cached ones too, per attempt that succeeded.",
    ),
    Recorded(
        "tier:provider:cost_usd:rate5m",
        OFFER,
        "US dollars per second: tokens × price; for the local tier its GPU hours, spread over the tokens it serves.",
        "currencyUSD",
    ),
    Recorded(
        "tier:provider:cost_usd_per_1k:ratio5m", OFFER, "US dollars per 1,000 attempts that succeeded.", "currencyUSD"
    ),
    Recorded(
        "tier:provider:throttle_ratio:threshold", OFFER, "Above this ProviderThrottled is pending.", "percentunit"
    ),
    # What enters a baseline: the signal while its alarm is neither pending nor firing, so that an incident never
    # becomes its own baseline.
    Recorded("tier:provider:latency_seconds:p95_5m:normal", OFFER, "p95 while ProviderLatencyHigh is quiet.", "s"),
    Recorded("tier:provider:latency_seconds:p95_5m:baseline", OFFER, "p95, moving average of what was normal.", "s"),
    Recorded(
        "tier:provider:latency_seconds:p95_5m:threshold",
        OFFER,
        "Above this p95 ProviderLatencyHigh is pending: the larger of its floor and its ratio times the baseline.",
        "s",
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:threshold",
        OFFER,
        "Above this ratio ProviderErrorRateHigh is pending: the larger of its floor and its ratio times the baseline.",
        "percentunit",
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:normal",
        OFFER,
        "Error ratio while ProviderErrorRateHigh is quiet.",
        "percentunit",
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:baseline",
        OFFER,
        "Error ratio, moving average of what was normal.",
        "percentunit",
    ),
)
