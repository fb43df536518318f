"""The estate as a whole: what it spends."""

from __future__ import annotations

from tiercli.signals.recorded_series import Recorded

_USD = "currencyUSD"

SERIES: tuple[Recorded, ...] = (
    Recorded("tier:estate:cost_usd:rate5m", (), "US dollars per second of all tenants.", _USD),
    Recorded("tier:estate:cost_usd:rate1h", (), "The same, mean of an hour.", _USD),
    Recorded("tier:estate:cost_usd:rate1h:normal", (), "The same while TotalSpendAnomaly is quiet.", _USD),
    Recorded(
        "tier:estate:cost_usd:rate1h:baseline",
        (),
        "The larger of the same hour yesterday and 7 days ago; without either, what the budgets allow.",
        _USD,
    ),
    Recorded("tier:estate:cost_usd:rate5m:threshold", (), "Above this TotalSpendAnomaly is pending.", _USD),
)
