"""Tenants beside the catalog, as CSV or JSON Lines: ten thousand of them in YAML take seconds to parse.

CSV has a header; a list is one cell with semicolons between. JSON Lines has one object a line, with the same keys. Both name
the tenant under `tenant`; what else they say has the shape of an entry under `tenants`. Where each row stands is kept, so a
problem of a tenant is told at its line and column.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiercli.catalog.names import unknown_name
from tiercli.catalog.tree import KeyPath
from tiercli.errors import InvalidInput, Location, Problem

NAME = "tenant"
LISTS = ("features", "aliases")
COLUMNS = (NAME, "features", "aliases", "budget_usd_per_month", "zone")
_REQUIRED = (NAME, "features", "budget_usd_per_month", "zone")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(slots=True)
class TenantRows:
    """The tenants of a file. `entries` have the shape of the catalog's own; `lines` is where each row begins, 1-based."""

    name: str
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _columns: tuple[str, ...] = ()

    def locate(self, path: KeyPath) -> Location | None:
        """Where ("tenants", name, …) stands; None when it is not of this file."""
        if len(path) < 2 or path[1] not in self.lines:
            return None
        line = self.lines[str(path[1])]
        key = str(path[2]) if len(path) > 2 else NAME
        return Location(self.name, line, self._column_of(line, key))

    def _column_of(self, line: int, key: str) -> int:
        text = self._text[line - 1]
        if self._columns:
            if key not in self._columns:
                return 1
            return next((at for number, at in enumerate(_cells(text)) if number == self._columns.index(key)), 1)
        match = re.search(rf'"{re.escape(key)}"\s*:\s*', text)
        return match.end() + 1 if match else 1

    def add(self, line: int, name: object, entry: dict[str, Any]) -> None:
        """Take a row in, or note what is wrong with its name."""
        if not isinstance(name, str) or not name:
            said = "a row without a name" if name in (None, "") else f"the name {name!r}"
            place = Location(self.name, line, self._column_of(line, NAME))
            self.problems.append(Problem(place, said, f"text under {NAME!r}"))
        elif name in self.entries:
            said = f"tenant {name!r} is in line {self.lines[name]} too"
            self.problems.append(
                Problem(Location(self.name, line, self._column_of(line, NAME)), said, "each tenant once")
            )
        else:
            self.entries[name] = entry
            self.lines[name] = line


def read_tenant_rows(path: Path, text: str) -> TenantRows:
    """The tenants in `text`, the content of `path`: CSV, or JSON Lines when it is named .jsonl or .ndjson. Problems of
    single rows are in its `problems`. Raises InvalidInput when it is neither."""
    if path.suffix in (".jsonl", ".ndjson"):
        return _read_json_lines(str(path), text)
    if path.suffix == ".csv":
        return _read_csv(str(path), text)
    raise InvalidInput(
        f"{path} cannot hold tenants",
        [Problem(Location(str(path)), f"a file named {path.name}", "a name that ends in .csv, .jsonl or .ndjson")],
    )


def _read_csv(name: str, text: str) -> TenantRows:
    lines = text.splitlines()
    rows = TenantRows(name, _text=lines)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        rows.problems += _header_problems(name, header, lines[0] if lines else "")
        if rows.problems:
            return rows
        rows._columns = header
        begins = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) != len(header):
                    said = f"{len(cells)} cells"
                    rows.problems.append(Problem(Location(name, begins, 1), said, f"{len(header)}, as the header has"))
                else:
                    entry = _entry(dict(zip(header, cells, strict=True)))
                    rows.add(begins, entry.pop(NAME, None), entry)
            begins = reader.line_num + 1
    except csv.Error as error:
        rows.problems.append(Problem(Location(name, reader.line_num, 1), f"not CSV: {error}", "quotes that end"))
    return rows


def _header_problems(name: str, header: tuple[str, ...], line: str) -> Iterator[Problem]:
    places = list(_cells(line))
    for number, column in enumerate(header):
        if column not in COLUMNS:
            yield unknown_name(
                "column", column, COLUMNS, Location(name, 1, places[number] if number < len(places) else 1)
            )
        elif column in header[:number]:
            yield Problem(Location(name, 1, places[number]), f"column {column!r} twice", "each column once")
    for column in _REQUIRED:
        if column not in header:
            yield Problem(
                Location(name, 1, 1), f"column {column!r} is missing", f"a header with {', '.join(_REQUIRED)}"
            )


def _entry(cells: dict[str, str]) -> dict[str, Any]:
    """A row as the catalog's YAML would have it; an empty cell says nothing."""
    entry: dict[str, Any] = {}
    for column, cell in cells.items():
        text = cell.strip()
        if column in LISTS:
            items = [item.strip() for item in text.split(";")]
            if any(items):
                entry[column] = [item for item in items if item]
        elif text:
            entry[column] = text if column in (NAME, "zone") or not _NUMBER.fullmatch(text) else float(text)
    return entry


def _read_json_lines(name: str, text: str) -> TenantRows:
    lines = text.splitlines()
    rows = TenantRows(name, _text=lines)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            column = getattr(error, "colno", 1)
            said = f"not JSON: {getattr(error, 'msg', error)}"
            rows.problems.append(Problem(Location(name, number, column), said, "one JSON object a line"))
            continue
        if not isinstance(entry, dict):
            rows.problems.append(Problem(Location(name, number, 1), "JSON that is no object", "one JSON object a line"))
            continue
        rows.add(number, entry.pop(NAME, None), entry)
    return rows


def _cells(line: str) -> Iterator[int]:
    """The column, 1-based, at which each cell of a line of CSV begins."""
    yield 1
    quoted = False
    for at, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            yield at + 2
