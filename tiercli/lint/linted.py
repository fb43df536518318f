"""What is linted: rules and panels with the places where they stand, whoever made them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tiercli.catalog.document import parse_document
from tiercli.dashboards.read.queries import resolve_variables
from tiercli.durations import parse_duration
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.signals.contract import MetricType

Labels = Mapping[str, frozenset[str] | None]

DEFAULT_SCRAPE_S = 60.0  # Prometheus' own, for files that come without a configuration


@dataclass(frozen=True, slots=True)
class LintedRule:
    """A rule. `lines`: the first and the last that it takes in its file."""

    kind: str  # alert, record
    name: str
    expr: str
    location: Location
    lines: tuple[int, int]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


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
    """Everything that checks look at. `known`: the series that expressions may read, with their labels; None where nobody
    can say what there is. `types`: of those series that the contract or a binding gives one."""

    rules: tuple[LintedRule, ...] = ()
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
    def alerts(self) -> tuple[LintedRule, ...]:
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


# There may be ten thousand of these, and nothing can be wrong with them.
_CONSTANT = re.compile(r"vector\([-+.0-9e]+\)")


def read_rules(text: str, name: str) -> list[LintedRule]:
    """The rules of a Prometheus rule file. Raises InvalidInput when it is none."""
    document = parse_document(text, name)
    groups = document.value.get("groups")
    if not isinstance(groups, list):
        found = "no list of groups"
        raise InvalidInput(f"{name} is no rule file", [Problem(document.locate(()), found, "groups: [{name, rules}]")])
    rules: list[LintedRule] = []
    starts: list[int] = []
    for position, group in enumerate(groups):
        for number, rule in enumerate(group.get("rules") or () if isinstance(group, dict) else ()):
            kind = "alert" if isinstance(rule, dict) and "alert" in rule else "record"
            if not isinstance(rule, dict) or not isinstance(rule.get("expr"), (str, int, float)):
                at = document.locate(("groups", position, "rules", number))
                raise InvalidInput(f"{name} is no rule file", [Problem(at, "a rule without an expression", "expr")])
            path = ("groups", position, "rules", number)
            starts.append(document.locate(path).line)
            rules.append(
                LintedRule(
                    kind,
                    str(rule.get(kind, "")),
                    " ".join(str(rule["expr"]).split()),
                    document.locate((*path, "expr")),
                    (starts[-1], starts[-1]),
                    _texts(rule.get("labels")),
                    _texts(rule.get("annotations")),
                )
            )
    ends = [*(start - 1 for start in starts[1:]), text.count("\n") + 1]
    return [
        LintedRule(
            rule.kind, rule.name, rule.expr, rule.location, (start, max(start, end)), rule.labels, rule.annotations
        )
        for rule, start, end in zip(rules, starts, ends, strict=True)
    ]


def read_board(text: str, name: str) -> tuple[str, list[LintedPanel]]:
    """A dashboard's uid and its panels, those of rows too. Raises InvalidInput when it is none."""
    try:
        board = json.loads(text)
    except ValueError as error:
        at = Location(name, getattr(error, "lineno", 1), getattr(error, "colno", 1))
        raise InvalidInput(f"{name} is no dashboard", [Problem(at, f"not JSON: {error}", "Grafana's JSON")]) from error
    board = board.get("dashboard", board) if isinstance(board, dict) else board
    if not isinstance(board, dict) or not isinstance(board.get("panels"), list):
        said = "no list of panels"
        raise InvalidInput(
            f"{name} is no dashboard", [Problem(Location(name, 1, 1), said, "a dashboard of Grafana 5 or later")]
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


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(one) for key, one in value.items()} if isinstance(value, dict) else {}


def range_s(text: str) -> float | None:
    """The seconds of a range selector's duration; None when it is none."""
    try:
        return parse_duration(text)
    except ValueError:
        return None
