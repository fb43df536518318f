"""Reading a dashboard's JSON as an operator's eyes do: its panels' queries, with the variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of one panel, with Grafana's variables still in it."""

    dashboard: str
    panel_id: int
    title: str
    expr: str
    unit: str
    legend: str


def panel_queries(name: str, dashboard_json: str) -> Iterator[PanelQuery]:
    """Every query of every panel of a dashboard."""
    for panel in json.loads(dashboard_json)["panels"]:
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
        for target in panel.get("targets", ()):
            yield PanelQuery(name, panel["id"], panel["title"], target["expr"], unit, target.get("legendFormat", ""))


def resolve_variables(expr: str, values: Mapping[str, str] | None = None) -> str:
    """`expr` with its variables filled in as Grafana does for Prometheus; "All" (.*) for those not in `values`.

    Values are escaped twice: as regular expressions, and for the PromQL string that they stand in.
    """
    chosen = values or {}

    def fill(match: re.Match[str]) -> str:
        value = chosen.get(match[1])
        return ".*" if value is None else re.escape(value).replace("\\", "\\\\").replace('"', '\\"')

    return re.sub(r"\$\{(\w+)(?::regex)?\}", fill, expr)
