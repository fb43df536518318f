"""What the variables of a dashboard can hold: which question gives the options, and what an answer to it means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tiercli.dashboards.read.board import Board, Variable
from tiercli.dashboards.read.interpolation import ALL

_LABEL_VALUES = re.compile(
    r"^\s*label_values\(\s*(?:(?P<match>.+?)\s*,\s*)?(?P<label>[a-zA-Z_]\w*)\s*\)\s*$", re.DOTALL
)
_ASKED = ("query", "custom", "constant", "textbox", "interval")


@dataclass(frozen=True, slots=True)
class LabelValues:
    """The question `label_values(match, label)`; `match` is "" for every series."""

    match: str
    label: str


def asked_variables(board: Board) -> tuple[Variable, ...]:
    """The variables that an operator can choose: not the data source, which is the Prometheus that is asked."""
    return tuple(variable for variable in board.variables if variable.type in _ASKED)


def parse_label_values(query: str) -> LabelValues | None:
    """Grafana's query of a variable, where it asks for the values of a label; else None."""
    match = _LABEL_VALUES.match(query)
    return None if match is None else LabelValues(match["match"] or "", match["label"])


def fixed_options(variable: Variable) -> tuple[str, ...]:
    """The options of a variable that asks nobody: "a, b : c" of the type custom is a and, shown as b, c."""
    if variable.type in ("constant", "textbox"):
        return (variable.query,) if variable.query else ()
    parts = [part.strip() for part in re.split(r"(?<!\\),", variable.query)]
    return tuple(part.split(" : ")[-1].strip() for part in parts if part)


def filtered(options: Sequence[str], pattern: str) -> tuple[str, ...]:
    """Options that the variable's own regular expression lets through; its first group is what they become."""
    if not pattern:
        return tuple(options)
    try:
        wanted = re.compile(pattern.removeprefix("/").removesuffix("/"))
    except re.error:
        return tuple(options)
    matches = [(match, option) for option in options if (match := wanted.search(option))]
    return tuple(dict.fromkeys(match[1] if wanted.groups else option for match, option in matches))


def needs_options(board: Board, variable: Variable, wanted: Sequence[str]) -> bool:
    """Whether a board cannot be drawn, or a choice not judged, without asking for the variable's options."""
    if wanted and ALL not in wanted:
        return True
    repeated = any(variable.name in (panel.repeat, panel.section_repeat) for panel in board.panels)
    return repeated or not (variable.include_all and variable.all_value)


def unknown_values(variable: str, wanted: Sequence[str], options: Sequence[str]) -> list[str]:
    """A note for each wanted value that nothing has now: a slip, or a series that is gone."""
    notes = []
    for value in wanted:
        if value != ALL and value not in options:
            near = get_close_matches(value, options, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            notes.append(f"no series has {variable}={value!r} in this range{meant}")
    return notes


def parse_assignments(texts: Sequence[str]) -> tuple[Mapping[str, tuple[str, ...]], list[str]]:
    """`NAME=VALUE` texts as values by variable, "All" as Grafana's own value for it; and those that are none."""
    values: dict[str, list[str]] = {}
    wrong = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            wrong.append(text)
        else:
            values.setdefault(name.removeprefix("var-"), []).append(ALL if value in ("All", "all", "") else value)
    return {name: tuple(some) for name, some in values.items()}, wrong
