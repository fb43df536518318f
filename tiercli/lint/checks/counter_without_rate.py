"""promql/counter-without-rate: a counter read as it stands, which says how long a process has run."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as p

from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted
from tiercli.lint.parsed import calls_around, parse, walk
from tiercli.signals.contract import MetricType

# Functions that read a counter rightly, and those that ask only whether it is there.
_RIGHT = {"rate", "irate", "increase", "resets", "changes", "idelta"}
_PRESENCE = {"count", "group", "absent", "absent_over_time", "present_over_time", "last_over_time", "timestamp"}
_PRESENCE |= {"count_over_time", "count_values"}


def _look(linted: Linted) -> Iterator[Found]:
    for subject, expr, place in linted.expressions():
        for node, around in walk(parse(expr)):
            if not isinstance(node, p.VectorSelector) or not _is_counter(linted, node.name):
                continue
            if not (_RIGHT | _PRESENCE) & set(calls_around(around)) and not _asks_presence(around, node):
                yield place, subject, f"the counter {node.name} without rate() or increase()"


def _is_counter(linted: Linted, name: str | None) -> bool:
    if name is None:
        return False
    known = linted.types.get(name)
    return known is MetricType.COUNTER if known is not None else name.endswith("_total")


def _asks_presence(around: tuple[object, ...], node: object) -> bool:
    """The right side of `unless` or `and` asks only whether something is there."""
    inner = node
    for outer in around:
        if isinstance(outer, p.BinaryExpr) and str(outer.op) in ("unless", "and") and outer.rhs is inner:
            return True
        inner = outer
    return False


CHECK = Check(
    "promql/counter-without-rate",
    Severity.WARNING,
    "wrap it in rate() or increase(): its value is that since the process started",
    _look,
)
