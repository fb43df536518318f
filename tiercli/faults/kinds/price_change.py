"""A provider's prices change, and the gateway's price book with them. Set directly: nobody sells anything in a sandbox."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import FaultKind, FaultSettings


class PriceChangeSettings(FaultSettings):
    """`factor`: how many times as much everything costs."""

    factor: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


PRICE_CHANGE = FaultKind(
    name="price-change",
    summary="a provider's models cost more, or less (set directly)",
    injector="gateway",
    target_labels=("provider",),
    settings=PriceChangeSettings,
)
