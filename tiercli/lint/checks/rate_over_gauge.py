"""promql/rate-over-gauge: rate(), irate() or increase() of a metric that also goes down."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as p

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted
from tiercli.signals.contract import MetricType

_FOR_COUNTERS = ("rate", "irate", "increase")


def _look(linted: Linted) -> Iterator[Found]:
    for place, subject, part, _ in linted.parts():
        if not isinstance(part, p.Call) or part.func.name not in _FOR_COUNTERS:
            continue
        name = part.args[0].vector_selector.name if isinstance(part.args[0], p.MatrixSelector) else None
        if name is not None and linted.types.get(name) is MetricType.GAUGE:
            yield place, subject, f"{part.func.name}() over {name}, a gauge"


CHECK = Check(
    "promql/rate-over-gauge",
    Severity.ERROR,
    "use delta() or deriv() for a gauge; divide a gauge of one period by the period",
    _look,
)
