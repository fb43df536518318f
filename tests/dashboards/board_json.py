"""Small dashboards as Grafana would save them."""

from __future__ import annotations

import json
from typing import Any

from tiercli.dashboards.read.board import Board, parse_board

RED_DASH = [
    {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
    {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
]
GREY_DASH = [{"id": "color", "value": {"mode": "fixed", "fixedColor": "#808080"}}, RED_DASH[1]]


def panel(kind: str, *exprs: str | tuple[str, str], title: str = "Panel", unit: str = "short", **more: Any) -> Any:
    """A panel of a type with queries: expressions, or expression and legend. `more`: other keys of its JSON;
    `steps`, `mappings` and `overrides` go where Grafana keeps them."""
    defaults: dict[str, Any] = {"unit": unit, "mappings": more.pop("mappings", [])}
    steps = more.pop("steps", [(None, "green")])
    defaults["thresholds"] = {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}
    targets = [
        {
            "refId": chr(ord("A") + at),
            "expr": one if isinstance(one, str) else one[0],
            "legendFormat": "" if isinstance(one, str) else one[1],
            "instant": kind == "table",
            "format": "table" if kind == "table" else "time_series",
        }
        for at, one in enumerate(exprs)
    ]
    config = {"defaults": defaults, "overrides": more.pop("overrides", [])}
    return {"id": 1, "type": kind, "title": title, "targets": targets, "fieldConfig": config, **more}


def override(matcher: str, options: object, properties: object) -> dict[str, Any]:
    """A field override."""
    return {"matcher": {"id": matcher, "options": options}, "properties": properties}


def board_of(*panels: Any, variables: Any = ()) -> Board:
    """A board of panels, read."""
    data = {"uid": "test", "title": "Test", "panels": list(panels), "templating": {"list": list(variables)}}
    return parse_board(json.dumps(data), "test.json")


def query_variable(name: str, query: str, **more: Any) -> dict[str, Any]:
    """A variable of which several or all can be chosen."""
    return {"name": name, "type": "query", "query": {"query": query}, "multi": True, "includeAll": True} | more
