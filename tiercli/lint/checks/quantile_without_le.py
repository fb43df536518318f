"""promql/quantile-without-le: histogram_quantile() over something that has lost its buckets."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as p

from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted
from tiercli.lint.parsed import parse, walk


def _look(linted: Linted) -> Iterator[Found]:
    for subject, expr, place in linted.expressions():
        for node, _ in walk(parse(expr)):
            if isinstance(node, p.Call) and node.func.name == "histogram_quantile" and _loses_le(node.args[1]):
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
