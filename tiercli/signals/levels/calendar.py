"""The calendar in the catalog's time zone: a month is no window. Recorded, so that a drill can replace it."""

from __future__ import annotations

from tiercli.signals.recorded_series import Recorded

SERIES: tuple[Recorded, ...] = (
    Recorded("tier:calendar:month", ("month",), "1 for the number of the current month."),
    Recorded("tier:calendar:month_elapsed:seconds", (), "Since the first of the month.", "s"),
    Recorded("tier:calendar:month_length:seconds", (), "From the first of the month to the next.", "s"),
)
