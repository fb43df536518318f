"""The panels of a board file, as grafanalib builds them; finish.py brings them to Grafana's current schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grafanalib import core as g

from tiercli.catalog.model import Catalog
from tiercli.conventions import HEARTBEAT, dashboard_uid
from tiercli.signals.boards import Column, Link, Panel, Query, Step, no_rules

DATASOURCE = "${datasource}"
RED, GREY = "red", "#808080"
DOLLARS, CENTS = "currencyUSD", 2
# Labels that every alert has and no reader asks for, in lists of firing alarms.
_OF_EVERY_ALERT = ("alertstate", "estate", "env", "source", "Value")


def build_panel(panel: Panel, catalog: Catalog, ours: str) -> Any:
    """grafanalib's panel. `ours`: matchers of this estate's own alerts."""
    return _BUILDERS[panel.type](panel, catalog, ours)


def _common(panel: Panel) -> dict[str, Any]:
    """Where a panel is placed follows from its neighbours: see finish.py."""
    width, height = panel.size
    return {
        "id": panel.id,
        "title": panel.title,
        "description": panel.description,
        "gridPos": g.GridPos(h=height, w=width, x=0, y=0),
    }


def _links(panel: Panel, catalog: Catalog) -> dict[str, Any]:
    return {"links": [_link(link, catalog, "__field.labels") for link in panel.links]} if panel.links else {}


def _timeseries(panel: Panel, catalog: Catalog, ours: str) -> g.TimeSeries:
    """Lines over time. Baselines are drawn dashed and grey, thresholds dashed and red."""
    return g.TimeSeries(
        **_common(panel),
        dataSource=DATASOURCE,
        unit=panel.unit,
        targets=_targets(panel.queries),
        **({"thresholds": _steps(panel.thresholds), "thresholdsStyleMode": "dashed"} if panel.thresholds else {}),
        lineWidth=2,
        legendDisplayMode="table",
        legendPlacement="bottom",
        legendCalcs=["lastNotNull", "max"],
        tooltipMode="multi",
        overrides=[_style(query) for query in panel.queries if query.style != "signal"],
        links=[_link(link, catalog, "__field.labels") for link in panel.links],
        extraJson=None if panel.decimals is None else {"fieldConfig": {"defaults": {"decimals": panel.decimals}}},
    )


def _stat(panel: Panel, catalog: Catalog, ours: str) -> g.Stat:
    """One number a query, coloured by thresholds; whole unless it says otherwise, US dollars to the cent."""
    whole = CENTS if panel.unit == DOLLARS else 0
    return g.Stat(
        **_common(panel),
        **_links(panel, catalog),
        dataSource=DATASOURCE,
        format=panel.unit,
        decimals=whole if panel.decimals is None else panel.decimals,
        targets=_targets(panel.queries),
        thresholds=_steps(panel.thresholds),
        colorMode="background",
        graphMode="area",
        reduceCalc="lastNotNull",
        noValue="no data",
    )


def _table(panel: Panel, catalog: Catalog, ours: str) -> g.Table:
    """The rows of an instant query, a column a label; `hidden` columns are left out, the largest value comes first."""
    names = {"Value": "value", **panel.renamed}
    left_out = dict.fromkeys(("Time", "__name__", "job", "instance", *panel.hidden), True)
    return g.Table(
        **_common(panel),
        dataSource=DATASOURCE,
        unit=panel.unit,
        targets=_targets(panel.queries, "table", instant=True),
        overrides=_columns(panel, catalog),
        transformations=[{"id": "organize", "options": {"excludeByName": left_out, "renameByName": names}}],
        sortBy=[g.TableSortByField(displayName=names["Value"], desc=True)],
    )


def _firing(panel: Panel, catalog: Catalog, ours: str) -> g.Table:
    """The alarms that fire now and that `matching` selects, as a table: Grafana's own alert list knows only rules that Grafana
    manages or a data source that serves them, this one works with any Prometheus. The heartbeat, which always fires, is none
    of them: it lacks the labels of `matching`, and so would match where all is chosen. It is empty only while rules are
    evaluated."""
    firing = f'ALERTS{{alertstate="firing", severity!="{HEARTBEAT}", {panel.matching}, {ours}}}'
    query = Query(expr=f"{firing} or {no_rules(ours)}", legend="{{alertname}}")
    description = (
        "Alarms about what is chosen here that fire now. Each has a runbook. A row says so where no rule is evaluated."
    )
    stated = {"description": panel.description or description, "queries": (query,), "hidden": _OF_EVERY_ALERT}
    return _table(panel.model_copy(update=stated), catalog, ours)


def _comparison(panel: Panel, catalog: Catalog, ours: str) -> g.Table:
    """A row for each set of labels, a column a query. Sorted by the column `first`, largest first."""
    values = {f"Value #{chr(ord('A') + position)}": query.column for position, query in enumerate(panel.queries)}
    units = [_override(query.column, {"unit": query.unit}) for query in panel.queries]
    queries = [query.model_copy(update={"legend": query.column}) for query in panel.queries]
    return g.Table(
        **_common(panel),
        dataSource=DATASOURCE,
        unit="short",
        targets=_targets(queries, "table", instant=True),
        overrides=[*units, *_columns(panel, catalog)],
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {"excludeByName": {"Time": True}, "renameByName": {**values, **panel.renamed}},
            },
        ],
        sortBy=[g.TableSortByField(displayName=panel.first, desc=True)],
    )


def _text(panel: Panel, catalog: Catalog, ours: str) -> g.Text:
    """Words, where nothing can be queried."""
    return g.Text(**_common(panel), content=panel.markdown, mode="markdown")


def _bar_gauge(panel: Panel, catalog: Catalog, ours: str) -> g.BarGauge:
    """A bar a row, largest first as the query sorts them."""
    return g.BarGauge(
        **_common(panel),
        **_links(panel, catalog),
        dataSource=DATASOURCE,
        format=panel.unit,
        decimals=2 if panel.decimals is None else panel.decimals,
        targets=_targets(panel.queries, instant=True),
        displayMode="gradient",
        orientation="horizontal",
        calc="lastNotNull",
        thresholds=_steps([(None, "blue")]),
    )


def _state_timeline(panel: Panel, catalog: Catalog, ours: str) -> g.StateTimeline:
    """A lane a row, coloured by state; `states` has the text and colour of each value."""
    options = {str(value): {"text": text, "color": color, "index": value} for value, text, color in panel.states}
    return g.StateTimeline(
        **_common(panel),
        **_links(panel, catalog),
        dataSource=DATASOURCE,
        targets=_targets(panel.queries),
        mappings=[{"type": "value", "options": options}],
        rowHeight=0.8,
        showValue="never",
    )


_BUILDERS: Mapping[str, Callable[[Panel, Catalog, str], Any]] = {
    "timeseries": _timeseries,
    "stat": _stat,
    "table": _table,
    "comparison": _comparison,
    "bar-gauge": _bar_gauge,
    "state-timeline": _state_timeline,
    "text": _text,
    "firing": _firing,
}


def _link(link: Link, catalog: Catalog, labels: str) -> dict[str, Any]:
    """A data link that keeps the time range; `labels` is what Grafana calls the labels of what is clicked."""
    board = f"/d/{dashboard_uid(link.board, catalog.estate, catalog.env)}?var-datasource={DATASOURCE}"
    chosen = "".join(f"&var-{name}=${{{labels}.{name}:percentencode}}" for name in link.variables)
    return {"title": link.title, "url": f"{board}{chosen}&${{__url_time_range}}", "targetBlank": False}


def _targets(queries: Sequence[Query], form: str = "time_series", *, instant: bool = False) -> list[g.Target]:
    return [
        g.Target(
            datasource=DATASOURCE,
            expr=query.expr,
            legendFormat=query.legend,
            refId=chr(ord("A") + position),
            instant=instant,
            format=form,
        )
        for position, query in enumerate(queries)
    ]


def _steps(thresholds: Sequence[Step]) -> list[dict[str, Any]]:
    return [{"value": value, "color": color} for value, color in thresholds]


def _override(column: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _columns(panel: Panel, catalog: Catalog) -> list[dict[str, Any]]:
    return [_override(name, _properties(column, catalog)) for name, column in panel.columns.items()]


def _properties(column: Column, catalog: Catalog) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.colors or column.thresholds:
        properties["custom.cellOptions"] = {"type": "color-background"}
    if column.colors:
        options = {
            text: {"text": text, "color": color, "index": index}
            for index, (text, color) in enumerate(column.colors.items())
        }
        properties["mappings"] = [{"type": "value", "options": options}]
    if column.thresholds:
        properties["thresholds"] = {"mode": "absolute", "steps": _steps(column.thresholds)}
    if column.link is not None:
        properties["links"] = [_link(column.link, catalog, "__data.fields")]
    return properties


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
