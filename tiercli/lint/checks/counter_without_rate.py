"""promql/counter-without-rate: a counter's own value, which shows how long its process has run."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as p

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted
from tiercli.signals.contract import MetricType
from tiercli.signals.label_flow import LabelFlow
from tiercli.signals.parsed import calls_around

# Functions that are made for counters, and those that only test whether a series exists.
_FOR_COUNTERS = {"rate", "irate", "increase", "resets", "changes", "idelta"}
_PRESENCE = {"count", "group", "absent", "absent_over_time", "present_over_time", "last_over_time", "timestamp"}
_PRESENCE |= {"count_over_time", "count_values"}


def _look(linted: Linted) -> Iterator[Found]:
    for place, subject, part, around in linted.parts():
        if not isinstance(part, p.VectorSelector) or not _is_counter(linted, part.name):
            continue
        if (_FOR_COUNTERS | _PRESENCE) & set(calls_around(around)):
            continue
        if not _tests_presence(around, part) and not _is_subtracted_from_itself(around, part.name):
            yield place, subject, f"the counter {part.name} without rate() or increase()"


def _is_counter(linted: Linted, name: str | None) -> bool:
    if name is None:
        return False
    known = linted.types.get(name)
    return known is MetricType.COUNTER if known is not None else name.endswith("_total")


def _tests_presence(around: tuple[object, ...], part: object) -> bool:
    """Whether a part is on the right side of `unless` or `and`, which only tests whether a series exists."""
    inner = part
    for outer in around:
        if isinstance(outer, p.BinaryExpr) and str(outer.op) in ("unless", "and") and outer.rhs is inner:
            return True
        inner = outer
    return False


def _is_subtracted_from_itself(around: tuple[object, ...], name: str | None) -> bool:
    """Whether a counter stands on both sides of a minus: the difference is a growth, and does not know when its process began."""
    minus = [outer for outer in around if isinstance(outer, p.BinaryExpr) and str(outer.op) == "-"]
    return any(name in {*LabelFlow.selected(outer.lhs)} & {*LabelFlow.selected(outer.rhs)} for outer in minus)


CHECK = Check(
    "promql/counter-without-rate",
    Severity.WARNING,
    "wrap it in rate() or increase(): a counter counts from the start of its process",
    _look,
)
