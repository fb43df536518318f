"""Prometheus durations: "1h30m" to seconds and back.

The grammar is that of Prometheus' `model.ParseDuration`: units y w d h m s ms, largest first, each at most once.
"""

from __future__ import annotations

import re

_UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_DURATION = re.compile(
    r"^(?:(?P<y>\d+)y)?(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?$"
)


def parse_duration(text: str) -> float:
    """The seconds of a Prometheus duration such as "5m" or "1h30m"; "0" is 0. Raises ValueError for other texts."""
    if text == "0":
        return 0.0
    match = _DURATION.match(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 1h30m")
    return sum(_UNITS_MS[unit] * int(count) for unit, count in match.groupdict().items() if count) / 1000


def duration_in_words(seconds: float) -> str:
    """`seconds` in words: "1 hour", "5 minutes", "1 hour 30 minutes"; "no time" for 0."""
    left = round(seconds)
    parts = []
    for name, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(parts) or "no time"


def format_duration(seconds: float) -> str:
    """A Prometheus duration for `seconds`, rounded to the millisecond, in the fewest units that are exact."""
    if seconds < 0:
        raise ValueError(f"a duration cannot be negative: {seconds}")
    left = round(seconds * 1000)
    if left == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
