"""promql/unknown-series: a metric or a label that nothing exposes or records; a join that never matches."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted
from tiercli.lint.parsed import parse
from tiercli.signals.expressions import check_expression


def _look(linted: Linted) -> Iterator[Found]:
    if linted.known is None:
        return  # whose series these are, nobody can say
    said: dict[str, list[str]] = {}
    for subject, expr, place in linted.expressions():
        if parse(expr) is None:
            continue
        if expr not in said:
            said[expr] = [
                problem.found.removesuffix(f", in {expr}")
                + (f"; did you mean {problem.suggestion!r}?" if problem.suggestion else "")
                for problem in check_expression(expr, place, linted.known)
            ]
        yield from ((place, subject, found) for found in said[expr])


CHECK = Check(
    "promql/unknown-series",
    Severity.ERROR,
    "name a metric of the contract, of a binding or a recorded one, with labels that it has",
    _look,
)
