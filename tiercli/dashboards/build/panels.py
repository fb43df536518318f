"""Panels that dashboards share, as grafanalib builds them; finish.py brings them to Grafana's current schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafanalib import core as g

from tiercli.catalog.model import Catalog
from tiercli.signals.panels import panel_id
from tiercli.signals.promql import matcher

DATASOURCE = "${datasource}"
# What the variables of a dashboard select; Grafana fills and escapes them, also when several are chosen. Without a format:
# ${model:regex} is escaped once, and "llama-3\.3" is no PromQL string.
OFFER = '{provider=~"${provider}", model=~"${model}", region=~"${region}"}'
OFFER_NAME = "{{provider}} / {{model}} / {{region}}"

ALIAS = '{alias=~"${alias}"}'
TENANT = '{tenant=~"${tenant}"}'

Size = tuple[int, int]  # of 24 columns and any number of rows

RED, ORANGE, GREEN, GREY = "red", "orange", "green", "#808080"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. `style`: how its line is drawn; instant queries are read as a table or a single value."""

    expr: str
    legend: str
    style: str = "signal"
    instant: bool = False


def limit_of(series: str, legend: str) -> Query:
    """Where an alarm begins, drawn dashed and red."""
    return Query(series, legend, "threshold")


def normal_of(series: str, legend: str) -> Query:
    """What is usual, drawn dashed and grey."""
    return Query(series, legend, "baseline")


def ours(estate: str, env: str) -> str:
    """Label matchers that pick this estate's own alerts. A `$` would be a variable to Grafana: the names have none."""
    return f"{matcher('estate', '=', estate)}, {matcher('env', '=', env)}"


def timeseries(
    dashboard: str,
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    size: Size,
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
        gridPos=_grid(size),
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
    query: Query | Sequence[Query],
    size: Size,
    thresholds: Sequence[tuple[float | None, str]],
    decimals: int = 0,
    **more: Any,
) -> g.Stat:
    """One number a query, coloured by `thresholds`: pairs of a lower bound (None for the first) and a colour."""
    return g.Stat(
        id=panel_id(dashboard, title),
        title=title,
        description=description,
        dataSource=DATASOURCE,
        format=unit,
        decimals=decimals,
        targets=_targets([query] if isinstance(query, Query) else query),
        gridPos=_grid(size),
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
    size: Size,
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
        gridPos=_grid(size),
        overrides=list(overrides),
        transformations=[{"id": "organize", "options": {"excludeByName": left_out, "renameByName": names}}],
        sortBy=[g.TableSortByField(displayName=names["Value"], desc=True)],
        **more,
    )


def firing(dashboard: str, catalog: Catalog, matchers: str, size: Size) -> g.Table:
    """The alarms that fire now and that `matchers` pick, as a table: Grafana's own alert list knows only rules that
    Grafana manages or a data source that serves them, this one works with any Prometheus."""
    return table(
        dashboard,
        "Firing alarms",
        "Alarms about what is chosen here that fire now. Each has a runbook.",
        "short",
        Query(
            f'ALERTS{{alertstate="firing", {matchers}, {ours(catalog.estate, catalog.env)}}}',
            "{{alertname}}",
            instant=True,
        ),
        size,
        hidden=("alertstate", "estate", "env", "source", "Value"),
    )


def comparison(
    dashboard: str,
    title: str,
    description: str,
    columns: Mapping[str, tuple[str, str]],
    size: Size,
    first: str,
    labels: Mapping[str, str] | None = None,
    overrides: Sequence[Mapping[str, Any]] = (),
) -> g.Table:
    """A row for each set of labels, a column for each of `columns`: its title, and the expression and unit of it. Sorted
    by the column `first`, largest first; `labels` renames those of the rows."""
    queries = [Query(expr, name, instant=True) for name, (expr, _) in columns.items()]
    values = {f"Value #{chr(ord('A') + position)}": name for position, name in enumerate(columns)}
    units = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, (_, unit) in columns.items()
    ]
    return g.Table(
        id=panel_id(dashboard, title),
        title=title,
        description=description,
        dataSource=DATASOURCE,
        unit="short",
        targets=_targets(queries, "table"),
        gridPos=_grid(size),
        overrides=[*units, *overrides],
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {"excludeByName": {"Time": True}, "renameByName": {**values, **(labels or {})}},
            },
        ],
        sortBy=[g.TableSortByField(displayName=first, desc=True)],
    )


def text(dashboard: str, title: str, description: str, markdown: str, size: Size) -> g.Text:
    """Words, where nothing can be queried."""
    return g.Text(
        id=panel_id(dashboard, title),
        title=title,
        description=description,
        content=markdown,
        mode="markdown",
        gridPos=_grid(size),
    )


def bar_gauge(
    dashboard: str, title: str, description: str, unit: str, query: Query, size: Size, **more: Any
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
        gridPos=_grid(size),
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
    size: Size,
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
        gridPos=_grid(size),
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


def _grid(size: Size) -> g.GridPos:
    """Where it stands follows from its neighbours: see finish.py."""
    width, height = size
    return g.GridPos(h=height, w=width, x=0, y=0)


def _steps(thresholds: Sequence[tuple[float | None, str]]) -> list[dict[str, Any]]:
    return [{"value": value, "color": color} for value, color in thresholds]


def _style(query: Query) -> dict[str, Any]:
    color = RED if query.style == "threshold" else GREY
    suffix = query.legend.rsplit("}}", 1)[-1].strip()
    return {
        "matcher": {"id": "byRegexp", "options": f"/(^|.* ){suffix}$/"},
        "properties": [
            {"id": "color", "value": {"mode": "fixed", "fixedColor": color}},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
            {"id": "custom.lineWidth", "value": 1},
            {"id": "custom.fillOpacity", "value": 0},
        ],
    }
