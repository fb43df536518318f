"""tool/promtool: what promtool has to say of the rules and the configuration."""

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
    if not linted.rule_files and linted.configuration is None:
        return
    promtool = program("promtool")
    with tempfile.TemporaryDirectory(prefix="tiercli-lint-") as name:
        folder = Path(name)
        for number, file in enumerate(linted.rule_files):
            path = folder / "rules" / f"{number}.yml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
            found = said_by(promtool, "check", "rules", str(path))
            if found:
                yield Location(file.name, 1, 1), "promtool check rules", found.replace(str(path), file.name)
        if linted.configuration is not None:
            path = folder / "prometheus.yml"
            path.write_text(linted.configuration.text, encoding="utf-8")
            found = said_by(promtool, "check", "config", "--syntax-only", str(path))
            if found:
                place = Location(linted.configuration.name, 1, 1)
                yield place, "promtool check config", found.replace(str(path), linted.configuration.name)


CHECK = Check("tool/promtool", Severity.ERROR, "correct what promtool names: Prometheus would not start", _look)
