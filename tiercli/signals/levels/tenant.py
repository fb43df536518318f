"""Tenants and their features: calls, tokens, spend, budgets, quotas, zones."""

from __future__ import annotations

from typing import Final

from tiercli.signals.recorded_series import Recorded

_G: Final = "gateway"
_T = ("tenant",)

SERIES: tuple[Recorded, ...] = (
    Recorded(
        "tier:tenant:budget_usd",
        ("tenant", "zone"),
        "Monthly budget; the label zone is its privacy zone.",
        "currencyUSD",
    ),
    Recorded("tier:tenant:calls:rate5m", ("tenant", "region", "status"), "Client calls per second.", "reqps", _G),
    Recorded("tier:tenant:tokens:rate5m", ("tenant", "direction"), "Tokens per second.", "short", _G),
    Recorded("tier:tenant:cost_usd:rate5m", _T, "US dollars per second.", "currencyUSD", _G),
    Recorded("tier:feature:cost_usd:rate5m", ("tenant", "feature"), "US dollars per second.", "currencyUSD", _G),
    Recorded(
        "tier:tenant:quota_fill:ratio", ("tenant", "provider"), "Used over limit of a quota bucket.", "percentunit", _G
    ),
    Recorded(
        "tier:tenant:zone_violations:increase5m",
        ("tenant", "region"),
        "Calls in 5 minutes outside the tenant's zone, the first of its kind included.",
        "short",
        _G,
        rare=True,
    ),
    Recorded(
        "tier:tenant:zone_violations:increase1d", ("tenant", "region"), "The same in a day.", "short", _G, rare=True
    ),
    Recorded(
        "tier:tenant:scope_denials:increase5m",
        _T,
        "Calls denied for lack of scope in 5 minutes.",
        "short",
        _G,
        rare=True,
    ),
    # Derived.
    Recorded(
        "tier:tenant:quota_fill:threshold",
        ("tenant", "provider"),
        "Above this QuotaBucketSaturated is pending.",
        "percentunit",
    ),
    Recorded(
        "tier:tenant:quota_saturated:bool",
        ("tenant", "provider"),
        "1 while a bucket is above the alarm's limit.",
        "bool",
    ),
    Recorded("tier:tenant:cost_usd:rate1h", _T, "US dollars per second, mean of an hour.", "currencyUSD"),
    Recorded("tier:tenant:cost_usd:rate1h:normal", _T, "The same while TenantSpendHigh is quiet.", "currencyUSD"),
    Recorded(
        "tier:tenant:cost_usd:rate1h:baseline",
        _T,
        "The larger of the same hour yesterday and 7 days ago; without either, what the budget allows.",
        "currencyUSD",
    ),
    Recorded("tier:tenant:cost_usd:rate1h:threshold", _T, "Above this TenantSpendHigh is pending.", "currencyUSD"),
    Recorded(
        "tier:tenant:cost_usd:month_rate",
        ("tenant", "month"),
        "US dollars per second, an hour's mean each hour, under the calendar month that it belongs to.",
        "currencyUSD",
    ),
    Recorded("tier:tenant:month_spend:usd", _T, "US dollars since the first of the month.", "currencyUSD"),
    Recorded("tier:tenant:month_forecast:usd", _T, "The month's spend, extrapolated to its end.", "currencyUSD"),
    Recorded("tier:tenant:budget_consumed:ratio", _T, "Month's spend over the monthly budget.", "percentunit"),
)
