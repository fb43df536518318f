"""Aliases: what clients call, across all candidates."""

from __future__ import annotations

from typing import Final

from tiercli.signals.recorded_series import Recorded

_G: Final = "gateway"
_A = ("alias",)

SERIES: tuple[Recorded, ...] = (
    Recorded(
        "tier:alias:primary_info", ("alias", "provider", "region", "tier"), "1 for the primary candidate of each alias."
    ),
    Recorded(
        "tier:alias:requests:rate5m",
        ("alias", "provider", "model", "region", "fallback_step"),
        "Calls per second by the candidate that answered.",
        "reqps",
        _G,
    ),
    Recorded(
        "tier:alias:fallbacks:rate5m",
        ("alias", "from", "to", "reason"),
        "Falls per second from one candidate to the next.",
        "reqps",
        _G,
        rare=True,
    ),
    Recorded("tier:alias:cache_lookups:rate5m", ("alias", "kind", "result"), "Cache lookups per second.", "reqps", _G),
    Recorded("tier:alias:refusals:rate5m", ("alias", "kind"), "Refusals per second.", "reqps", _G, rare=True),
    Recorded("tier:alias:eval_score:mean", _A, "Rolling score of production evals, 0 to 1.", "percentunit", _G),
    Recorded("tier:alias:eval_score:target", _A, "The score that the catalog holds its evals to.", "percentunit"),
    Recorded("tier:alias:response_tokens:mean5m", _A, "Output tokens per call, mean.", "short", _G),
    Recorded("tier:alias:response_tokens:p95_5m", _A, "Output tokens per call, 95th percentile.", "short", _G),
    Recorded("tier:alias:cost_usd:rate5m", _A, "US dollars per second.", "currencyUSD", _G),
    Recorded("tier:alias:cache_hit:ratio5m", ("alias", "kind"), "Share of cache lookups that hit.", "percentunit"),
    Recorded("tier:alias:refusal:ratio5m", _A, "Share of calls that were refused.", "percentunit"),
    Recorded("tier:alias:fallback:ratio5m", ("alias", "fallback_step"), "Share of calls by step.", "percentunit"),
    Recorded("tier:alias:cost_usd_per_1k:ratio5m", _A, "US dollars per 1,000 calls.", "currencyUSD"),
)
