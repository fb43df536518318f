"""What is linted: rules and panels with their places in files, generated or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tiercli.dashboards.read.board import parse_board
from tiercli.dashboards.read.interpolation import fill_any
from tiercli.errors import Location
from tiercli.signals.contract import MetricType
from tiercli.signals.parsed import parse, walk
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
    undeployed: Sequence[tuple[Location, str]] = ()  # candidates that the gateway has no deployment of
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
    board = parse_board(text, name)
    lines = text.splitlines()
    panels = [
        LintedPanel(
            Path(name).stem,
            panel.title,
            panel.id,
            Location(name, _line_of(lines, panel.title), 1),
            tuple(fill_any(target.expr) for target in panel.targets),
            tuple(uid for url in panel.links for uid in re.findall(r"/d/([\w-]+)", url)),
            panel.description,
        )
        for panel in board.panels
    ]
    return board.uid, panels


def _line_of(lines: Sequence[str], title: str) -> int:
    wanted = f'"title": {json.dumps(title, ensure_ascii=False)}'
    return next((number for number, line in enumerate(lines, 1) if wanted in line), 1)
