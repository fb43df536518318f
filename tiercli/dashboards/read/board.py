"""A dashboard's JSON as typed data: any that Grafana 10 and later load, whoever made it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tiercli.errors import InvalidInput, Location, Problem

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a dashboard. `query`: Grafana's query, a list of values for the type custom, or a constant."""

    name: str
    type: str
    query: str = ""
    all_value: str = ""
    multi: bool = False
    include_all: bool = False
    current: tuple[str, ...] = ()
    regex: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel, with its variables still in it."""

    ref: str
    expr: str
    legend: str = ""
    instant: bool = False
    table: bool = False


@dataclass(frozen=True, slots=True)
class Override:
    """Properties of the fields that a matcher picks. `properties` holds Grafana's own names: unit, color, mappings, …"""

    matcher: str
    options: Any
    properties: Properties


@dataclass(frozen=True, slots=True)
class BoardPanel:
    """One panel. `defaults`: Grafana's fieldConfig.defaults; `repeat`: the variable of which it shows a copy a value;
    `links`: the URLs of its own links and of its fields'."""

    id: int
    title: str
    type: str
    description: str = ""
    targets: tuple[Target, ...] = ()
    defaults: Properties = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    options: Properties = field(default_factory=dict)
    transformations: tuple[tuple[str, Properties], ...] = ()
    repeat: str = ""
    section: str = ""
    section_repeat: str = ""
    links: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """Grafana's name of the unit, "" for none."""
        return str(self.defaults.get("unit") or "")


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: its variables in the order in which they are filled, its panels as they are read, rows dissolved."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    panels: tuple[BoardPanel, ...]


def parse_board(text: str, name: str) -> Board:
    """The dashboard in `text`; `name` stands for its file. Raises InvalidInput for what is no dashboard's JSON."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem(Location(name, error.lineno, error.colno), error.msg, "a dashboard's JSON")
        raise InvalidInput(f"{name} is not JSON", [problem]) from error
    if isinstance(data, dict) and isinstance(data.get("dashboard"), dict):  # as Grafana's API answers
        data = data["dashboard"]
    if not isinstance(data, dict) or not isinstance(data.get("panels"), list):
        found = f"the keys {', '.join(sorted(data)[:5])}" if isinstance(data, dict) and data else "no panels"
        raise InvalidInput(
            f"{name} is not a dashboard", [Problem(Location(name, 1, 1), found, "an object with uid, title and panels")]
        )
    try:
        return Board(
            uid=str(data.get("uid") or ""),
            title=str(data.get("title") or ""),
            description=str(data.get("description") or ""),
            variables=tuple(_variable(variable) for variable in data.get("templating", {}).get("list", ())),
            panels=tuple(_panels(data["panels"])),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = Problem(Location(name, 1, 1), f"a part of another shape than Grafana's ({error!r})")
        raise InvalidInput(f"{name} is not a dashboard that Grafana would load", [problem]) from error


def _panels(panels: list[Any]) -> Iterator[BoardPanel]:
    section = repeat = ""
    for data in sorted((panel for panel in panels if isinstance(panel, dict)), key=_place):
        if data.get("type") == "row":
            section, repeat = str(data.get("title") or ""), str(data.get("repeat") or "")
            for inner in sorted(data.get("panels") or (), key=_place):
                yield _panel(inner, section, repeat)
        else:
            yield _panel(data, section, repeat)


def _place(data: Mapping[str, Any]) -> tuple[int, int]:
    grid = data.get("gridPos") or {}
    return int(grid.get("y", 0)), int(grid.get("x", 0))


def _panel(data: Mapping[str, Any], section: str, section_repeat: str) -> BoardPanel:
    config = data.get("fieldConfig") or {}
    return BoardPanel(
        id=int(data.get("id") or 0),
        title=str(data.get("title") or ""),
        type=str(data["type"]),
        description=str(data.get("description") or ""),
        targets=tuple(
            Target(
                ref=str(target.get("refId") or number),
                expr=str(target["expr"]),
                legend=str(target.get("legendFormat") or ""),
                instant=bool(target.get("instant")) and not target.get("range"),
                table=target.get("format") == "table",
            )
            for number, target in enumerate(data.get("targets") or ())
            if target.get("expr") and not target.get("hide")
        ),
        defaults=dict(config.get("defaults") or {}),
        overrides=tuple(
            Override(
                str(override["matcher"]["id"]),
                override["matcher"].get("options"),
                {each["id"]: each.get("value") for each in override.get("properties", ())},
            )
            for override in config.get("overrides") or ()
        ),
        options=dict(data.get("options") or {}),
        transformations=tuple(
            (str(transformation["id"]), dict(transformation.get("options") or {}))
            for transformation in data.get("transformations") or ()
            if not transformation.get("disabled")
        ),
        repeat=str(data.get("repeat") or ""),
        section=section,
        section_repeat=section_repeat,
        links=tuple(_urls([data.get("links"), config])),
    )


def _urls(data: Any) -> Iterator[str]:
    """The value of every `url` in a part of a dashboard."""
    for item in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _urls(item)
    if isinstance(data, dict) and isinstance(data.get("url"), str):
        yield data["url"]


def _variable(data: Mapping[str, Any]) -> Variable:
    query = data.get("query", "")
    current = (data.get("current") or {}).get("value", ())
    return Variable(
        name=str(data["name"]),
        type=str(data.get("type") or "query"),
        query=str(query.get("query", "") if isinstance(query, dict) else query or ""),
        all_value=str(data.get("allValue") or ""),
        multi=bool(data.get("multi")),
        include_all=bool(data.get("includeAll")),
        current=(str(current),)
        if isinstance(current, str | int | float)
        else tuple(str(value) for value in current or ()),
        regex=str(data.get("regex") or ""),
    )
