"""promql/short-range: a range that holds too few samples for rate() when one scrape fails."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as p

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted

SCRAPES = 4
_OVER_RAW = ("rate", "irate", "increase", "delta", "deriv")


def _look(linted: Linted) -> Iterator[Found]:
    for place, subject, part, _ in linted.parts():
        if isinstance(part, p.Call) and part.func.name in _OVER_RAW and isinstance(part.args[0], p.MatrixSelector):
            span_s = part.args[0].range.total_seconds()
            if span_s < SCRAPES * linted.scrape_s:
                scrapes = f"{span_s / linted.scrape_s:.2g} scrapes of {linted.scrape_s:g} s"
                yield place, subject, f"a range of {span_s:g} s, {scrapes}"


CHECK = Check(
    "promql/short-range",
    Severity.WARNING,
    f"make it at least {SCRAPES} scrapes long, or one failed scrape leaves it empty",
    _look,
)
