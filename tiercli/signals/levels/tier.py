"""Local against cloud, on the same axes. Quantiles of different sources cannot be merged: a tier's is the mean of its
providers', weighted by their traffic."""

from __future__ import annotations

from tiercli.signals.recorded_series import Recorded

_T = ("tier",)

SERIES: tuple[Recorded, ...] = (
    Recorded("tier:tier:requests:rate5m", _T, "Attempts per second of a tier.", "reqps"),
    Recorded("tier:tier:error_ratio:rate5m", _T, "Share of a tier's attempts that failed.", "percentunit"),
    Recorded("tier:tier:latency_seconds:p50_5m", _T, "Median attempt duration, traffic-weighted.", "s"),
    Recorded("tier:tier:latency_seconds:p95_5m", _T, "p95 of attempt duration, traffic-weighted.", "s"),
    Recorded("tier:tier:latency_seconds:p99_5m", _T, "p99 of attempt duration, traffic-weighted.", "s"),
    Recorded("tier:tier:ttft_seconds:p95_5m", _T, "p95 of time to first token, traffic-weighted.", "s"),
    Recorded("tier:tier:within_sla:ratio5m", _T, "Share of attempts within the service level.", "percentunit"),
    Recorded("tier:tier:tokens:rate5m", ("tier", "direction"), "Tokens per second of a tier."),
    Recorded("tier:tier:cost_usd:rate5m", _T, "US dollars per second of a tier.", "currencyUSD"),
    Recorded(
        "tier:tier:cost_usd_per_1k:ratio5m", _T, "US dollars per 1,000 successful attempts of a tier.", "currencyUSD"
    ),
    Recorded(
        "tier:tier:fallbacks:rate5m",
        ("from_tier", "to_tier"),
        "Calls per second that a fallback candidate answered, by the primary's tier and the tier that answered.",
        "reqps",
    ),
)
