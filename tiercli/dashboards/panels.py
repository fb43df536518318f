"""Panels that dashboards share, as grafanalib builds them; finish.py brings them to Grafana's current schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafanalib import core as g

from tiercli.signals.panels import panel_id
from tiercli.signals.promql import matcher

DATASOURCE = "${datasource}"
# What the variables of a dashboard select; Grafana fills and escapes them, also when several are chosen.
OFFER = '{provider=~"${provider:regex}", model=~"${model:regex}", region=~"${region:regex}"}'
OFFER_NAME = "{{provider}} / {{model}} / {{region}}"

RED, ORANGE, GREEN, GREY = "red", "orange", "green", "#808080"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. `style`: how its line is drawn; instant queries are read as a table or a single value."""

    expr: str
    legend: str
    style: str = "signal"
    instant: bool = False


def ours(estate: str, env: str) -> str:
    """Label matchers that pick this estate's own alerts. A `$` would be a variable to Grafana: the names have none."""
    return f"{matcher('estate', '=', estate)}, {matcher('env', '=', env)}"


def timeseries(
    dashboard: str,
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    grid: tuple[int, int, int, int],
    **more: Any,
) -> g.TimeSeries:
    """Lines over time. Baselines are drawn dashed and grey, thresholds dashed and red."""
    return g.TimeSeries(
        id=panel_id(dashboard, title),
        title=title,
        description=description,
        dataSource=DATASOURCE,
        unit=unit,
        targets=_targets(queries),
        gridPos=_grid(grid),
        lineWidth=2,
        legendDisplayMode="table",
        legendPlacement="bottom",
        legendCalcs=["lastNotNull", "max"],
        tooltipMode="multi",
        overrides=[_style(query) for query in queries if query.style != "signal"],
        links=more.pop("links", []),
        **more,
    )


def stat(
    dashboard: str,
    title: str,
    description: str,
    unit: str,
    query: Query,
    grid: tuple[int, int, int, int],
    thresholds: Sequence[tuple[float | None, str]],
    decimals: int = 0,
    **more: Any,
) -> g.Stat:
    """One number, coloured by `thresholds`: pairs of a lower bound (None for the first) and a colour."""
    return g.Stat(
        id=panel_id(dashboard, title),
        title=title,
        description=description,
        dataSource=DATASOURCE,
        format=unit,
        decimals=decimals,
        targets=_targets([query]),
        gridPos=_grid(grid),
        thresholds=_steps(thresholds),
        colorMode="background",
        graphMode="area",
        reduceCalc="lastNotNull",
        noValue="no data",
        **more,
    )


def table(
    dashboard: str,
    title: str,
    description: str,
    unit: str,
    query: Query,
    grid: tuple[int, int, int, int],
    hidden: Sequence[str] = (),
    renamed: Mapping[str, str] | None = None,
    overrides: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> g.Table:
    """The rows of an instant query, a column a label; `hidden` columns are left out, the largest value stands first."""
    names = {"Value": "value", **(renamed or {})}
    left_out = dict.fromkeys(("Time", "__name__", "job", "instance", *hidden), True)
    return g.Table(
        id=panel_id(dashboard, title),
        title=title,
        description=description,
        dataSource=DATASOURCE,
        unit=unit,
        targets=_targets([query], "table"),
        gridPos=_grid(grid),
        overrides=list(overrides),
        transformations=[{"id": "organize", "options": {"excludeByName": left_out, "renameByName": names}}],
        sortBy=[g.TableSortByField(displayName=names["Value"], desc=True)],
        **more,
    )


def bar_gauge(
    dashboard: str, title: str, description: str, unit: str, query: Query, grid: tuple[int, int, int, int], **more: Any
) -> g.BarGauge:
    """A bar a row, largest first as the query sorts them."""
    return g.BarGauge(
        id=panel_id(dashboard, title),
        title=title,
        description=description,
        dataSource=DATASOURCE,
        format=unit,
        decimals=more.pop("decimals", 2),
        targets=_targets([query]),
        gridPos=_grid(grid),
        displayMode="gradient",
        orientation="horizontal",
        calc="lastNotNull",
        thresholds=_steps([(None, "blue")]),
        **more,
    )


def state_timeline(
    dashboard: str,
    title: str,
    description: str,
    queries: Sequence[Query],
    grid: tuple[int, int, int, int],
    states: Mapping[int, tuple[str, str]],
    **more: Any,
) -> g.StateTimeline:
    """A lane a row, coloured by state; `states` says the text and colour of each value."""
    options = {str(value): {"text": text, "color": color, "index": value} for value, (text, color) in states.items()}
    return g.StateTimeline(
        id=panel_id(dashboard, title),
        title=title,
        description=description,
        dataSource=DATASOURCE,
        targets=_targets(queries),
        gridPos=_grid(grid),
        mappings=[{"type": "value", "options": options}],
        rowHeight=0.8,
        showValue="never",
        **more,
    )


def drill_down(title: str, path: str) -> dict[str, Any]:
    """A data link to another dashboard that keeps the time range."""
    return {"title": title, "url": f"{path}&${{__url_time_range}}", "targetBlank": False}


def _targets(queries: Sequence[Query], form: str = "time_series") -> list[g.Target]:
    return [
        g.Target(
            datasource=DATASOURCE,
            expr=query.expr,
            legendFormat=query.legend,
            refId=chr(ord("A") + position),
            instant=query.instant,
            format=form,
        )
        for position, query in enumerate(queries)
    ]


def _grid(grid: tuple[int, int, int, int]) -> g.GridPos:
    x, y, width, height = grid
    return g.GridPos(h=height, w=width, x=x, y=y)


def _steps(thresholds: Sequence[tuple[float | None, str]]) -> list[dict[str, Any]]:
    return [{"value": value, "color": color} for value, color in thresholds]


def _style(query: Query) -> dict[str, Any]:
    color = RED if query.style == "threshold" else GREY
    suffix = query.legend.rsplit("}}", 1)[-1].strip()
    return {
        "matcher": {"id": "byRegexp", "options": f"/.* {suffix}$/"},
        "properties": [
            {"id": "color", "value": {"mode": "fixed", "fixedColor": color}},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
            {"id": "custom.lineWidth", "value": 1},
            {"id": "custom.fillOpacity", "value": 0},
        ],
    }
