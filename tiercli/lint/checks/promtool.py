"""tool/promtool: what promtool reports about the rules and the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted
from tiercli.lint.tools import complaints


def _look(linted: Linted) -> Iterator[Found]:
    for file in linted.rule_files:
        yield from complaints("promtool", ("check", "rules"), file)
    if linted.configuration is not None:
        yield from complaints("promtool", ("check", "config"), linted.configuration, "--syntax-only")


CHECK = Check("tool/promtool", Severity.ERROR, "correct what promtool reports: Prometheus would not start", _look)
