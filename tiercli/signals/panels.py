"""Dashboards and panels by name: stable ids, so that links and diffs hold. Known to rules and dashboards alike."""

from __future__ import annotations

from collections.abc import Mapping

# Ids never change and are never used again; a new panel takes the next number.
PANELS: Mapping[str, Mapping[str, int]] = {
    "home": {
        "Firing alarms": 1,
        "Provider health": 2,
        "Gateway instances": 3,
        "Zone violations": 4,
        "Audit completeness": 5,
        "Calls per minute": 6,
        "Fallback share": 7,
    },
    "provider": {
        "Calls per minute": 1,
        "Latency": 2,
        "Error rate": 3,
        "Top error codes": 4,
        "Throttled (429)": 5,
        "Quota headroom": 6,
        "Time to first token": 7,
        "Tokens per second": 8,
        "Firing alarms": 9,
        "Unclassified errors": 10,
    },
    "alias": {"Postcondition violations": 1, "Eval score": 2},
    "tenant": {"Zone violations": 1, "Quota buckets": 2, "Spend rate": 3, "Budget this month": 4},
    "cost": {"Spend rate": 1},
    "local": {"GPU utilisation": 1, "Queue depth": 2},
    "drift": {"Drift signals": 1},
}


def panel_id(dashboard: str, title: str) -> int:
    """The id of a panel, 0 when there is none of that name (the alarm-link check reports that)."""
    return PANELS.get(dashboard, {}).get(title, 0)
