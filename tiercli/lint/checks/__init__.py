"""The checks, one module each. To add one: its file, its page under docs/checks/, one line here."""

from __future__ import annotations

from tiercli.lint.checks import (
    alarm_count,
    amtool,
    counter_without_rate,
    idle_action,
    left_out,
    lost_label,
    missing_parts,
    page_share,
    promtool,
    quantile_without_le,
    rate_over_gauge,
    short_range,
    syntax,
    undeployed,
    unknown_link,
    unknown_panel,
    unknown_series,
)
from tiercli.lint.interface import Check

__all__ = ["CHECKS"]

CHECKS: tuple[Check, ...] = (
    syntax.CHECK,
    unknown_series.CHECK,
    rate_over_gauge.CHECK,
    counter_without_rate.CHECK,
    quantile_without_le.CHECK,
    short_range.CHECK,
    lost_label.CHECK,
    missing_parts.CHECK,
    idle_action.CHECK,
    unknown_panel.CHECK,
    alarm_count.CHECK,
    left_out.CHECK,
    undeployed.CHECK,
    page_share.CHECK,
    unknown_link.CHECK,
    promtool.CHECK,
    amtool.CHECK,
)
