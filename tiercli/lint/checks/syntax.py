"""promql/syntax: an expression that does not parse."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted
from tiercli.signals.parsed import parse


def _look(linted: Linted) -> Iterator[Found]:
    for subject, expr, place in linted.expressions():
        if parse(expr) is None:
            try:
                promql_parser.parse(expr)
            except ValueError as error:
                yield place, subject, f"not PromQL: {error}: {expr}"


CHECK = Check("promql/syntax", Severity.ERROR, "correct the expression", _look)
