"""From grafanalib's model to Grafana's current schema: its defaults are those of Grafana 5."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from grafanalib import core as g
from grafanalib._gen import DashboardEncoder

from tiercli.catalog.model import Catalog
from tiercli.conventions import DASHBOARD_TAG, DRILL_TAG, dashboard_uid
from tiercli.dashboards.build.panels import CENTS, DOLLARS, build_panel
from tiercli.dashboards.read.interpolation import fill_any
from tiercli.signals.boards import COLUMNS, Board, Variable, our_matchers
from tiercli.signals.expressions import series_read

_Grid = dict[str, int]
SCHEMA_VERSION = 39  # Grafana 10.4; later ones read it without a migration of panels
_LEGACY = ("rows", "hideControls", "sharedCrosshair", "style", "__inputs", "gnetId", "version", "id")
_LEGACY_PANEL = (
    *("span", "editable", "error", "isNew", "height", "minSpan", "hideTimeOverride", "maxPerRow", "cacheTimeout"),
    *("color", "columns", "mappings", "fontSize", "maxDataPoints", "transparent"),
)
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def render_board(name: str, board: Board, catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """A board as JSON text that Grafana 10 and later load as it is; the same bytes from the same catalog.

    Panels stand one beside the other in their order, and fill their rows. Queries that read one of `unbound`, series
    that no source of the catalog has, are left out, and so is a panel that shows nothing without them; None when no
    panel is left but a list of firing alarms.
    """
    ours = our_matchers(catalog)
    panels = [build_panel(panel, catalog, ours) for panel in board.panels]
    built = g.Dashboard(
        title=board.title, panels=panels, uid=dashboard_uid(name, catalog.estate, catalog.env), timezone="browser"
    )
    data: dict[str, Any] = json.loads(json.dumps(built.to_json_data(), cls=DashboardEncoder))
    for key in _LEGACY:
        data.pop(key, None)
    data |= {
        "schemaVersion": SCHEMA_VERSION,
        "description": board.description,
        "tags": [DASHBOARD_TAG, catalog.estate, catalog.env],
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "links": [_dashboard_link()],
        "annotations": {"list": _annotations(ours)},
        "templating": {"list": [_datasource_variable(), *map(_variable, board.variables)]},
        "panels": _arranged([_panel(panel) for panel in data["panels"] if _can_show(panel, frozenset(unbound))]),
    }
    lists_alarms = {panel.id for panel in board.panels if panel.type == "firing"}
    if not any(panel.get("targets") and panel["id"] not in lists_alarms for panel in data["panels"]):
        return None
    return json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _can_show(panel: dict[str, Any], unbound: frozenset[str]) -> bool:
    """Whether anything of a panel is left without the queries that read `unbound`; takes these out."""
    targets = panel.get("targets")
    if not targets:
        return True
    panel["targets"] = [target for target in targets if not series_read(fill_any(target["expr"])) & unbound]
    return targets[0] in panel["targets"]  # a baseline without its signal says nothing


def _arranged(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each panel beside the one before it; when the row is full, below that one if the row is high enough, else in the next
    row. What a row does not fill, its panels grow into."""
    rows: list[list[list[_Grid]]] = []  # of columns, of panels one below the other
    for grid in (panel["gridPos"] for panel in panels):
        row = rows[-1] if rows else []
        if rows and sum(_width(column) for column in row) + grid["w"] <= COLUMNS:
            row.append([grid])
        elif rows and row[-1][0]["w"] == grid["w"] and _height(row[-1]) + grid["h"] <= max(map(_height, row)):
            row[-1].append(grid)
        else:
            rows.append([[grid]])
    y = 0
    for row in rows:
        width, height, left = sum(map(_width, row)), max(map(_height, row)), 0
        for column in row:
            x, left, top = left * COLUMNS // width, left + _width(column), y
            column[-1]["h"] += height - _height(column)
            for grid in column:
                grid |= {"x": x, "y": top, "w": left * COLUMNS // width - x}
                top += grid["h"]
        y += height
    return panels


def _width(column: list[_Grid]) -> int:
    return column[0]["w"]


def _height(column: list[_Grid]) -> int:
    return sum(grid["h"] for grid in column)


def _variable(variable: Variable) -> dict[str, Any]:
    """A variable filled from Prometheus, of which several or all can be chosen."""
    name, query = variable.name, variable.query
    return {
        "name": name,
        "label": variable.label,
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}", "qryType": 1},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "regex": "",
        "skipUrlSync": False,
    }


def _datasource_variable() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def _dashboard_link() -> dict[str, Any]:
    return {
        "title": "tiercli",
        "type": "dashboards",
        "tags": [DASHBOARD_TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _annotations(ours: str) -> list[dict[str, Any]]:
    return [
        {
            "name": "Alerts",
            "datasource": _DATASOURCE,
            "enable": True,
            "hide": False,
            "iconColor": "red",
            "expr": f'ALERTS{{alertstate="firing", severity=~"page|notify", {ours}}}',
            "titleFormat": "{{alertname}}",
            "textFormat": "{{severity}} {{provider}} {{model}} {{region}}",
            "step": "15s",
        },
        {
            "name": "Drills",
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": False,
            "iconColor": "purple",
            "target": {"type": "tags", "tags": [DRILL_TAG], "matchAny": False, "limit": 100},
        },
    ]


def _panel(panel: dict[str, Any]) -> dict[str, Any]:
    for key in _LEGACY_PANEL:
        panel.pop(key, None)
    if panel["type"] == "text":
        for key in ("datasource", "targets", "fieldConfig"):
            panel.pop(key, None)
        plain: dict[str, Any] = _without_nulls(panel)
        return plain
    panel["datasource"] = _DATASOURCE
    for target in panel["targets"]:
        target |= {"datasource": _DATASOURCE, "range": not target.get("instant"), "editorMode": "code"}
        for key in ("query", "metric", "target", "step", "intervalFactor", "interval"):
            target.pop(key, None)
    defaults = panel["fieldConfig"]["defaults"]
    # grafanalib writes a bar gauge's unit where Grafana 6 looked for it.
    older = panel.get("options", {}).pop("fieldOptions", {})
    if older:
        panel["options"]["reduceOptions"] = {
            "calcs": older.get("calcs", ["lastNotNull"]),
            "fields": "",
            "values": False,
        }
    older = older.get("defaults", {})
    for key in ("unit", "decimals"):
        if key not in defaults and older.get(key) is not None:
            defaults[key] = older[key]
    if not defaults.get("thresholds", {}).get("steps"):
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"value": None, "color": "green"}]}
    if defaults.get("custom", {}).pop("displayMode", None) is not None:
        defaults["custom"]["cellOptions"] = {"type": "auto"}
    _write_out_dollars(panel)
    cleaned: dict[str, Any] = _without_nulls(panel)
    return cleaned


def _write_out_dollars(panel: dict[str, Any]) -> None:
    """Grafana's own unit of US dollars makes $1.25K of 1,250; whoever pays asks for all of it. The axes of time series choose
    how many digits are behind the point, all else has cents."""
    config = panel["fieldConfig"]
    if config["defaults"].get("unit") == DOLLARS:
        config["defaults"]["unit"] = "prefix:$"
        if panel["type"] != "timeseries":
            config["defaults"].setdefault("decimals", CENTS)
    for override in config.get("overrides", ()):
        for written in override["properties"]:
            if (written["id"], written["value"]) == ("unit", DOLLARS):
                written["value"] = "prefix:$"


def _without_nulls(value: Any) -> Any:
    """`value` without keys that say nothing; a first threshold's null lower bound does say something."""
    if isinstance(value, dict):
        keep_null = "color" in value and "value" in value
        return {
            key: _without_nulls(item)
            for key, item in value.items()
            if item is not None or (keep_null and key == "value")
        }
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
