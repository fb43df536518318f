"""Recorded series by level, one module each. To add a series: one entry in the module of its level."""

from __future__ import annotations

from tiercli.signals.levels import alias, calendar, drift, estate, gateway, gpu, provider, server, tenant, tier
from tiercli.signals.recorded_series import Recorded

__all__ = ["LEVELS"]

LEVELS: tuple[tuple[Recorded, ...], ...] = (
    provider.SERIES,
    tier.SERIES,
    gateway.SERIES,
    alias.SERIES,
    tenant.SERIES,
    estate.SERIES,
    calendar.SERIES,
    drift.SERIES,
    server.SERIES,
    gpu.SERIES,
)
