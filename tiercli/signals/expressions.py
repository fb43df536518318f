"""Every expression that leaves the program is parsed, and every metric and label in it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import promql_parser

from tiercli.errors import Location, Problem
from tiercli.signals.contract import CONTRACT
from tiercli.signals.recorded import RECORDED

# What a scrape, a rule evaluation or Prometheus itself adds.
_ADDED = frozenset({"job", "instance", "estate", "env"})
_OWN: Mapping[str, frozenset[str]] = {
    "up": frozenset(),
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "owner", "source"}),
}


def known_series() -> dict[str, frozenset[str]]:
    """Every series name that an expression may read, with its labels."""
    known: dict[str, frozenset[str]] = {name: labels | _ADDED for name, labels in _OWN.items()}
    for metric in CONTRACT:
        for name in metric.exposed_names:
            extra = {"le"} if name.endswith("_bucket") else set()
            known[name] = frozenset(metric.labels) | extra | _ADDED
    for series in RECORDED:
        known[series.name] = frozenset(series.labels) | _ADDED
    return known


def check_expression(
    expr: str,
    place: Location,
    more: Mapping[str, frozenset[str]] | None = None,
    all_labels: frozenset[str] = frozenset(),
) -> list[Problem]:
    """What is wrong with `expr`: its syntax, a metric that nothing exposes or records, a label that the metric does not
    have. `more` are series known beside those of the contract; `all_labels` are allowed everywhere (of ALERTS, say)."""
    try:
        parsed = promql_parser.parse(expr)
    except ValueError as error:
        return [Problem(place, f"not PromQL: {error}: {expr}")]
    known = known_series() | dict(more or {})
    problems = []
    for name, labels in selectors(parsed):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            problems.append(Problem(place, f"unknown metric {name!r} in {expr}", "", near[0] if near else ""))
            continue
        allowed = known[name] | all_labels | (_every_label(known) if name == "ALERTS" else frozenset())
        for label in labels:
            if label not in allowed:
                near = get_close_matches(label, allowed, n=1)
                said = f"{name} has no label {label!r}, in {expr}"
                problems.append(Problem(place, said, ", ".join(sorted(known[name] - _ADDED)), near[0] if near else ""))
    return problems


def selectors(parsed: Any) -> Iterator[tuple[str, list[str]]]:
    """The name and the matched labels of every selector in a parsed expression."""
    found: list[tuple[str, list[str]]] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            labels = [matcher.name for matcher in node.matchers.matchers if matcher.name != "__name__"]
            named = next((m.value for m in node.matchers.matchers if m.name == "__name__"), "")
            found.append((node.name or named, labels))
        return True

    promql_parser.walk(parsed, visit)
    yield from found


def _every_label(known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset(label for labels in known.values() for label in labels)
