"""Time zones by name."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def utc_offset_s(time_zone: str) -> int:
    """Seconds east of UTC without daylight saving: a rule cannot know when that begins. 0 for an unknown zone, which
    the catalog's own checks report."""
    try:
        at = datetime(2026, 1, 1, tzinfo=ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return 0
    return int(((at.utcoffset() or timedelta()) - (at.dst() or timedelta())).total_seconds())
