"""The valid part of a catalog with invalid entries, so that the rest of it is checked in the same pass."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tiercli.catalog.document import KeyPath
from tiercli.catalog.model import Catalog
from tiercli.catalog.shape import error_paths, validate_strictly

# The depth of entries that can be removed alone; elsewhere the whole section is removed.
_ENTRY_DEPTH = {
    ("owners",): 2,
    ("receivers",): 2,
    ("providers",): 2,
    ("aliases",): 2,
    ("zones",): 2,
    ("tenants",): 2,
    ("alarms",): 2,
    ("cardinality", "metrics"): 3,
    ("price_book", "models"): 4,
}

_BUDGET = {"series": 1, "owner": "x", "reason": "x"}
# In place of a required section that is invalid or missing, so that the model can be built; nothing in it is checked.
_STAND_INS: Mapping[str, Any] = {
    "version": 1,
    "estate": "x",
    "env": "x",
    "links": {"runbooks": "http://localhost", "grafana": "http://localhost"},
    "owners": {"x": {"contact": "x"}},
    "receivers": {"x": {}},
    "routing": {"page": "x", "notify": "x", "trend": "x", "heartbeat": "x"},
    "providers": {"x": {"tier": "cloud", "owner": "x", "regions": {"x": {}}, "models": {"x": {}}}},
    "aliases": {"x": {"owner": "x", "candidates": [{"provider": "x", "model": "x", "region": "x"}]}},
    "zones": {"x": {}},
    "tenants": {"x": {"features": ["x"], "budget_usd_per_month": 1, "zone": "x"}},
    "price_book": {"version": "x", "models": {}},
    "gateway": {"binding": "x", "targets": ["x:1"]},
    "cardinality": {"total": _BUDGET},
}
_MAPPINGS = ("owners", "receivers", "providers", "aliases", "zones", "tenants")


def stand_in(section: str) -> Any:
    """A value of the right shape for a required section of which nothing could be read."""
    return deepcopy(_STAND_INS[section])


def salvage(value: dict[str, Any]) -> tuple[Catalog, frozenset[str]]:
    """The catalog without its invalid entries, and the sections of which nothing is left."""
    rest = deepcopy(value)
    missing: set[str] = set()
    while paths := error_paths(Catalog, rest):
        for path in sorted(set(paths), key=len, reverse=True):
            _remove(rest, path, missing)
    catalog = validate_strictly(Catalog, rest)
    nothing: dict[str, Any] = {section: {} for section in _MAPPINGS if section in missing}
    return catalog.model_copy(update=nothing), frozenset(missing)


def _remove(rest: dict[str, Any], path: KeyPath, missing: set[str]) -> None:
    """Remove the smallest entry around `path` that can be removed; at most the whole section."""
    section = str(path[0])
    for prefix, depth in _ENTRY_DEPTH.items():
        if path[: len(prefix)] == prefix and len(path) >= depth:
            holder: Any = rest
            for part in path[: depth - 1]:
                holder = holder[part]
            holder.pop(path[depth - 1], None)
            return
    rest.pop(section, None)
    if section in _STAND_INS:
        rest[section] = stand_in(section)
        missing.add(section)
