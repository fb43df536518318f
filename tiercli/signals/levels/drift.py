"""Drift: slow signals, now against the prior 7 days. `subject` is an alias, or provider / model / region."""

from __future__ import annotations

from tiercli.signals.recorded_series import Recorded

_S = ("signal", "subject")

SERIES: tuple[Recorded, ...] = (
    Recorded("tier:drift:value:mean1h", _S, "The signal, mean of an hour."),
    Recorded("tier:drift:value:hourly", _S, "The same once an hour, while Drift is quiet for it."),
    Recorded("tier:drift:value:baseline", _S, "The signal's mean over the prior 7 days."),
    Recorded(
        "tier:drift:change", _S, "Now less the baseline; for signals with a relative tolerance, over the baseline."
    ),
    Recorded("tier:drift:departure:ratio", _S, "The change over its tolerance: above 1 it is flagged."),
)
