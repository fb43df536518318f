"""promql/short-range: a range in which rate() finds too few samples when one scrape fails."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as p

from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted
from tiercli.lint.parsed import parse, walk

SCRAPES = 4
_OVER_RAW = ("rate", "irate", "increase", "delta", "deriv")


def _look(linted: Linted) -> Iterator[Found]:
    for subject, expr, place in linted.expressions():
        for node, _ in walk(parse(expr)):
            if isinstance(node, p.Call) and node.func.name in _OVER_RAW and isinstance(node.args[0], p.MatrixSelector):
                span_s = node.args[0].range.total_seconds()
                if span_s < SCRAPES * linted.scrape_s:
                    said = f"a range of {span_s:g} s, {span_s / linted.scrape_s:.2g} scrapes of {linted.scrape_s:g} s"
                    yield place, subject, said


CHECK = Check(
    "promql/short-range",
    Severity.WARNING,
    f"make it at least {SCRAPES} scrapes long, or one failed scrape leaves it empty",
    _look,
)
