"""US dollars as tiercli prints them."""

from __future__ import annotations

import pytest

from tiercli.money import dollars


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0, "0.00"),
        (0.001, "under 0.01"),
        (0.84, "0.84"),
        (69.3, "69.30"),
        (1250, "1,250.00"),
        (9999.99, "9,999.99"),
        (9999.999, "10,000"),
        (12_500.4, "12,500"),
        (-3.5, "-3.50"),
    ],
)
def test_cents_below_ten_thousand_and_none_above(usd: float, text: str) -> None:
    assert dollars(usd) == text
