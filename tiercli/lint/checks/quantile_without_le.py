"""promql/quantile-without-le: histogram_quantile() over an aggregation that drops the buckets."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as p

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted


def _look(linted: Linted) -> Iterator[Found]:
    for place, subject, part, _ in linted.parts():
        if isinstance(part, p.Call) and part.func.name == "histogram_quantile" and _loses_le(part.args[1]):
            yield place, subject, "histogram_quantile() over an aggregation without `le`"


def _loses_le(node: object) -> bool:
    while isinstance(node, p.ParenExpr):
        node = node.expr
    if not isinstance(node, p.AggregateExpr):
        return False
    if node.modifier is None:
        return True
    by = node.modifier.type == p.AggModifierType.By
    return ("le" in node.modifier.labels) is not by


CHECK = Check("promql/quantile-without-le", Severity.ERROR, "keep `le`: sum by (le, …) (rate(…_bucket[…]))", _look)
