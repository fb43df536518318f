"""tool/amtool: what amtool has to say of Alertmanager's configuration."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tiercli.errors import Location
from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted
from tiercli.lint.tools import program, said_by


def _look(linted: Linted) -> Iterator[Found]:
    if linted.alertmanager is None:
        return
    with tempfile.TemporaryDirectory(prefix="tiercli-lint-") as folder:
        path = Path(folder) / "alertmanager.yml"
        path.write_text(linted.alertmanager.text, encoding="utf-8")
        found = said_by(program("amtool"), "check-config", str(path))
        if found:
            place = Location(linted.alertmanager.name, 1, 1)
            yield place, "amtool check-config", found.replace(str(path), linted.alertmanager.name)


CHECK = Check("tool/amtool", Severity.ERROR, "correct what amtool names: Alertmanager would not start", _look)
