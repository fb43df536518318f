"""promql/unknown-series: a metric or label that nothing exposes or records, or a join that never matches."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted
from tiercli.signals.expressions import check_expression
from tiercli.signals.parsed import parse


def _look(linted: Linted) -> Iterator[Found]:
    if linted.known is None:
        return  # files of others: which series exist is not known
    messages: dict[str, list[str]] = {}
    for subject, expr, place in linted.expressions():
        if parse(expr) is None:
            continue
        if expr not in messages:
            messages[expr] = [
                problem.found.removesuffix(f", in {expr}")
                + (f"; did you mean {problem.suggestion!r}?" if problem.suggestion else "")
                for problem in check_expression(expr, place, linted.known)
            ]
        yield from ((place, subject, message) for message in messages[expr])


CHECK = Check(
    "promql/unknown-series",
    Severity.ERROR,
    "use a metric of the contract or of a binding, or a recorded series, with labels that it has",
    _look,
)
