"""Numbers as Grafana's panels write them."""

from __future__ import annotations

import math

import pytest

from tiercli.dashboards.read.units import format_value


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.4213, "percentunit", None, "42.1%"),
        (1.0, "percentunit", None, "100%"),
        (0.99951, "percentunit", 2, "99.95%"),
        (42.13, "percent", None, "42.1%"),
        (1.234, "s", None, "1.23 s"),
        (0.0421, "s", None, "42.1 ms"),
        (90, "s", None, "1.50 mins"),
        (7200, "s", None, "2 hours"),
        (250, "ms", None, "250 ms"),
        (0, "s", None, "0 s"),
        (12.5, "reqps", None, "12.5 req/s"),
        (1250, "reqps", None, "1.25K req/s"),
        (1250, "short", None, "1.25 K"),
        (2_500_000, "short", None, "2.50 Mil"),
        (7, "short", None, "7"),
        (1250, "currencyUSD", None, "$1.25K"),
        (0.4182, "currencyUSD", None, "$0.418"),
        (-3.5, "currencyUSD", 2, "-$3.50"),
        (1250, "prefix:$", 2, "$1250.00"),
        (0.4182, "prefix:$", None, "$0.418"),
        (-3.5, "prefix:$", 2, "$-3.50"),
        (2048, "bytes", None, "2 KiB"),
        (2000, "decbytes", None, "2 kB"),
        (134.4, "watt", None, "134 W"),
        (1344, "watt", None, "1.34 kW"),
        (0.05, "watt", None, "50 mW"),
        (39, "celsius", None, "39 °C"),
        (5, "", None, "5"),
        (5, "suffix:tokens", None, "5 tokens"),
        (1, "bool_on_off", None, "On"),
        (math.nan, "s", None, "NaN"),
        (-math.inf, "short", None, "-∞"),
        (-0.0001, "percentunit", 0, "0%"),
    ],
)
def test_a_value_in_its_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert format_value(value, unit, decimals) == text
