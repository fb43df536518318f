"""tool/amtool: what amtool reports about Alertmanager's configuration."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted
from tiercli.lint.tools import complaints


def _look(linted: Linted) -> Iterator[Found]:
    if linted.alertmanager is not None:
        yield from complaints("amtool", ("check-config",), linted.alertmanager)


CHECK = Check("tool/amtool", Severity.ERROR, "correct what amtool reports: Alertmanager would not start", _look)
