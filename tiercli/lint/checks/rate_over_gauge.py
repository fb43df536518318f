"""promql/rate-over-gauge: rate(), irate() or increase() of something that goes down as well as up."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as p

from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted
from tiercli.lint.parsed import parse, walk
from tiercli.signals.contract import MetricType

_OF_COUNTERS = ("rate", "irate", "increase")


def _look(linted: Linted) -> Iterator[Found]:
    for subject, expr, place in linted.expressions():
        for node, _ in walk(parse(expr)):
            if (
                isinstance(node, p.Call)
                and node.func.name in _OF_COUNTERS
                and isinstance(node.args[0], p.MatrixSelector)
            ):
                name = node.args[0].vector_selector.name
                if name is not None and linted.types.get(name) is MetricType.GAUGE:
                    yield place, subject, f"{node.func.name}() over {name}, a gauge"


CHECK = Check(
    "promql/rate-over-gauge",
    Severity.ERROR,
    "use delta() or deriv() for a gauge; a gauge of one period is divided by the period",
    _look,
)
