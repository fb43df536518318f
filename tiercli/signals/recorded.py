"""The canonical layer: every series that tiercli records. Dashboards, alerts and drills read these and nothing else.

Named level:metric:operation. Windows in names are estate time: a compressed sandbox keeps the names. `primitive` series
come from a source binding (catalogs/sources/); the others are derived from those and do not know the source. What only
one alarm needs is recorded by its own file.
"""

from __future__ import annotations

from tiercli.signals.levels import LEVELS
from tiercli.signals.recorded_series import Recorded, SourceKind

__all__ = ["RECORDED", "RECORDED_BY_NAME", "Recorded", "SourceKind"]

RECORDED: tuple[Recorded, ...] = tuple(series for level in LEVELS for series in level)
RECORDED_BY_NAME = {series.name: series for series in RECORDED}
