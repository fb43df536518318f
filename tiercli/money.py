"""US dollars in text: to the cent, and without cents from ten thousand on."""

from __future__ import annotations

WHOLE_FROM_USD = 10_000


def dollars(usd: float) -> str:
    """`usd` as figures: "0.84", "1,250.00", "12,500"; "under 0.01" for what is less than half a cent and not nothing."""
    if 0 < usd < 0.005:
        return "under 0.01"
    return f"{usd:,.0f}" if abs(round(usd, 2)) >= WHOLE_FROM_USD else f"{usd:,.2f}"
