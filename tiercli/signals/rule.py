"""A Prometheus rule as data, whether it was generated, read from a file or loaded by a server; and the reader of rule files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tiercli.catalog.document import Document, KeyPath, parse_document
from tiercli.durations import format_duration, parse_duration
from tiercli.errors import InvalidInput, Location, Problem

Kind = Literal["alert", "record"]
_NOWHERE = Location("")


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting or recording rule. `location`: its expression in its file; `lines`: the first and last line that it takes
    there. A rule that comes from no file has neither."""

    kind: Kind
    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    for_s: float = 0.0
    keep_firing_for_s: float = 0.0
    group: str = ""
    location: Location = _NOWHERE
    lines: tuple[int, int] = (0, 0)

    def content(self) -> dict[str, Any]:
        """The rule as an entry of a rule file."""
        content: dict[str, Any] = {self.kind: self.name, "expr": self.expr}
        durations = {"for": self.for_s, "keep_firing_for": self.keep_firing_for_s}
        content |= {key: format_duration(seconds) for key, seconds in durations.items() if seconds}
        content |= {"labels": dict(self.labels)} if self.labels else {}
        content |= {"annotations": dict(self.annotations)} if self.annotations else {}
        return content


def recording_rule(name: str, expr: str, labels: Mapping[str, str] | None = None) -> Rule:
    """The rule that records `expr`, on one line, as the series `name`."""
    return Rule("record", name, " ".join(expr.split()), labels or {})


class RuleGroup(NamedTuple):
    """Rules that are evaluated one after another. `interval`: a Prometheus duration; empty for the server's own."""

    name: str
    rules: tuple[Rule, ...]
    interval: str = ""


def rule_file_content(groups: Iterable[RuleGroup]) -> dict[str, Any]:
    """The content of a rule file."""
    return {
        "groups": [
            {
                "name": group.name,
                **({"interval": group.interval} if group.interval else {}),
                "rules": [rule.content() for rule in group.rules],
            }
            for group in groups
        ]
    }


def read_rules(text: str, name: str) -> list[Rule]:
    """The rules of a Prometheus rule file, in their order; `name` stands for the file in locations. White space in expressions
    becomes single spaces. Raises InvalidInput when the text is not a rule file."""
    document = parse_document(text, name)
    groups = document.value.get("groups")
    if not isinstance(groups, list):
        raise _not_a_rule_file(document, (), "no list of groups", "groups: [{name, rules}]")
    entries: list[tuple[KeyPath, str, Any]] = []
    for position, group in enumerate(groups):
        for number, entry in enumerate(group.get("rules") or () if isinstance(group, dict) else ()):
            entries.append((("groups", position, "rules", number), str(group.get("name", "")), entry))
    starts = [document.locate(path).line for path, _, _ in entries]
    ends = [*(start - 1 for start in starts[1:]), text.count("\n") + 1]
    return [
        _rule(document, *entry, (start, max(start, end)))
        for entry, start, end in zip(entries, starts, ends, strict=True)
    ]


def _rule(document: Document, path: KeyPath, group: str, entry: Any, lines: tuple[int, int]) -> Rule:
    if not isinstance(entry, dict) or not isinstance(entry.get("expr"), (str, int, float)):
        raise _not_a_rule_file(document, path, "a rule without an expression", "expr")
    kind: Kind = "alert" if "alert" in entry else "record"
    return Rule(
        kind,
        str(entry.get(kind, "")),
        " ".join(str(entry["expr"]).split()),
        _texts(entry.get("labels")),
        _texts(entry.get("annotations")),
        _seconds(entry.get("for")),
        _seconds(entry.get("keep_firing_for")),
        group,
        document.locate((*path, "expr")),
        lines,
    )


def _not_a_rule_file(document: Document, path: KeyPath, found: str, accepted: str) -> InvalidInput:
    return InvalidInput(f"{document.name} is not a rule file", [Problem(document.locate(path), found, accepted)])


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}


def _seconds(value: object) -> float:
    try:
        return parse_duration(str(value)) if value is not None else 0.0
    except ValueError:
        return 0.0  # promtool reports a duration that is none
