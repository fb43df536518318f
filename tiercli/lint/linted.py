"""What is linted: rules and panels with their places in files, generated or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tiercli.dashboards.read.queries import resolve_variables
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.lint.parsed import parse, walk
from tiercli.signals.contract import MetricType
from tiercli.signals.rule import Rule

Labels = Mapping[str, frozenset[str] | None]

DEFAULT_SCRAPE_S = 60.0  # Prometheus' own, for files that come without a configuration


@dataclass(frozen=True, slots=True)
class LintedPanel:
    """A panel of a dashboard, with its expressions, variables filled in, and its links."""

    board: str
    title: str
    number: int
    location: Location
    expressions: tuple[str, ...]
    links: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class LintedFile:
    """A file's name and text, for the comments in it and the tools that read it."""

    name: str
    text: str


@dataclass(frozen=True)
class Linted:
    """Everything that checks look at. `known`: the series that expressions may read, with their labels; None when that is not
    known. `types`: of the series that the contract or a binding types."""

    rules: tuple[Rule, ...] = ()
    panels: tuple[LintedPanel, ...] = ()
    boards: Mapping[str, str] = field(default_factory=dict)  # uid → file
    rule_files: tuple[LintedFile, ...] = ()
    alertmanager: LintedFile | None = None
    configuration: LintedFile | None = None
    known: Labels | None = None
    types: Mapping[str, MetricType] = field(default_factory=dict)
    scrape_s: float = DEFAULT_SCRAPE_S
    left_out: Mapping[str, tuple[Location, Sequence[str]]] = field(default_factory=dict)  # alarm → its file, the series
    ours: bool = False  # generated from a catalog, not somebody else's

    @cached_property
    def alerts(self) -> tuple[Rule, ...]:
        """The alert rules."""
        return tuple(rule for rule in self.rules if rule.kind == "alert")

    def expressions(self) -> Iterator[tuple[str, str, Location]]:
        """(subject, expression, place) of everything that is evaluated, each text once a subject."""
        for rule in self.rules:
            if not _CONSTANT.fullmatch(rule.expr):
                yield rule.name, rule.expr, rule.location
        for panel in self.panels:
            for expr in panel.expressions:
                yield f"{panel.board}: {panel.title}", expr, panel.location

    def parts(self) -> Iterator[tuple[Location, str, Any, tuple[Any, ...]]]:
        """(place, subject, part, the parts around it, nearest first) of every part of every expression that parses."""
        for subject, expr, place in self.expressions():
            for part, around in walk(parse(expr)):
                yield place, subject, part, around


# There may be ten thousand of these, and nothing can be wrong in them.
_CONSTANT = re.compile(r"vector\([-+.0-9e]+\)")


def read_board(text: str, name: str) -> tuple[str, list[LintedPanel]]:
    """A dashboard's uid and its panels, those of rows too. Raises InvalidInput when it is none."""
    try:
        board = json.loads(text)
    except ValueError as error:
        at = Location(name, getattr(error, "lineno", 1), getattr(error, "colno", 1))
        raise InvalidInput(f"{name} is no dashboard", [Problem(at, f"not JSON: {error}", "Grafana's JSON")]) from error
    board = board.get("dashboard", board) if isinstance(board, dict) else board
    if not isinstance(board, dict) or not isinstance(board.get("panels"), list):
        message = "no list of panels"
        raise InvalidInput(
            f"{name} is no dashboard", [Problem(Location(name, 1, 1), message, "a dashboard of Grafana 5 or later")]
        )
    lines = text.splitlines()
    panels = []
    for panel in _panels(board["panels"]):
        title = str(panel.get("title", ""))
        targets = [target for target in panel.get("targets") or () if isinstance(target, dict)]
        panels.append(
            LintedPanel(
                Path(name).stem,
                title,
                int(panel.get("id") or 0),
                Location(name, _line_of(lines, title), 1),
                tuple(_filled(str(target["expr"])) for target in targets if target.get("expr")),
                tuple(re.findall(r"/d/([\w-]+)", json.dumps([panel.get("links"), panel.get("fieldConfig")]))),
                str(panel.get("description") or ""),
            )
        )
    return str(board.get("uid") or ""), panels


def _panels(panels: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        if isinstance(panel, dict):
            if panel.get("type") != "row":
                yield panel
            yield from _panels(panel.get("panels") or ())


def _filled(expr: str) -> str:
    """An expression with every variable of Grafana's filled in by something of its kind."""
    expr = re.sub(r"\$__(?:rate_interval|interval|range)\b|\$\{__(?:rate_interval|interval|range)\}", "1h", expr)
    expr = re.sub(r"\[\$\{?\w+\}?\]", "[1h]", resolve_variables(expr) if "[$" not in expr else expr)
    return re.sub(r"\$\{?\w+(?::\w+)?\}?", ".*", resolve_variables(expr))


def _line_of(lines: Sequence[str], title: str) -> int:
    wanted = f'"title": {json.dumps(title, ensure_ascii=False)}'
    return next((number for number, line in enumerate(lines, 1) if wanted in line), 1)
