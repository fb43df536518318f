"""Tenants in a file beside the catalog, as CSV or JSON Lines: ten thousand of them in YAML take seconds to parse.

CSV has a header; a list is one cell, separated by semicolons. JSON Lines has one object a line, with the same keys. Both name
the tenant under `tenant`; the rest has the shape of an entry under `tenants`. The place of each row is kept, so that a problem
of a tenant is reported at its line and column.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiercli.catalog.document import read_text
from tiercli.catalog.names import unknown_name
from tiercli.catalog.tree import MAX_DEPTH, MAX_DIGITS, KeyPath
from tiercli.errors import InvalidInput, Location, Problem

NAME = "tenant"
TENANT_FILES = "a CSV or JSON Lines file, named .csv, .jsonl or .ndjson"
LISTS = ("features", "aliases")
BUDGET = "budget_usd_per_month"
COLUMNS = (NAME, "features", "aliases", BUDGET, "zone")
_REQUIRED = (NAME, "features", BUDGET, "zone")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LINE_END = re.compile(r"\r\n|\r|\n")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class TenantRows:
    """The tenants of a file. `entries` have the shape of the catalog's own; `lines`: the line of each row, from 1."""

    name: str
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _columns: tuple[str, ...] = ()

    def locate(self, path: KeyPath) -> Location | None:
        """The place of ("tenants", name, …); None when it is not in this file."""
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
        """Add a row, or a problem of its name."""
        if not isinstance(name, str) or not name:
            message = "a row without a name" if name in (None, "") else f"the name {name!r}"
            place = Location(self.name, line, self._column_of(line, NAME))
            self.problems.append(Problem(place, message, f"text under {NAME!r}"))
        elif name in self.entries:
            message = f"tenant {name!r} is also in line {self.lines[name]}"
            self.problems.append(
                Problem(Location(self.name, line, self._column_of(line, NAME)), message, "each tenant once")
            )
        else:
            self.entries[name] = entry
            self.lines[name] = line


def load_tenant_rows(path: Path) -> TenantRows:
    """The tenants of `path`: CSV, or JSON Lines when it is named .jsonl or .ndjson. Problems of rows are in its `problems`.
    Raises InvalidInput when it cannot be read, or has another suffix."""
    kind = path.suffix.lower()
    if kind not in (".csv", ".jsonl", ".ndjson"):
        problem = Problem(Location(str(path)), "a file of another kind", TENANT_FILES)
        raise InvalidInput(f"{path} cannot hold tenants", [problem])
    text = read_text(path, TENANT_FILES)
    return _read_csv(str(path), text) if kind == ".csv" else _read_json_lines(str(path), text)


def _read_csv(name: str, text: str) -> TenantRows:
    lines = _LINE_END.split(text)
    rows = TenantRows(name, _text=lines)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: tuple[str, ...] = ()
    begins = 1
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                pass
            elif not header:
                header = tuple(cell.strip() for cell in cells)
                rows.problems += _header_problems(name, header, begins, lines[begins - 1])
                if rows.problems:
                    return rows
                rows._columns = header
            elif len(cells) != len(header):
                message = f"{len(cells)} cell{'s' if len(cells) > 1 else ''}"
                rows.problems.append(Problem(Location(name, begins, 1), message, f"{len(header)}, as the header has"))
            else:
                entry = _entry(dict(zip(header, cells, strict=True)))
                rows.add(begins, entry.pop(NAME, None), entry)
            begins = reader.line_num + 1
    except csv.Error as error:
        rows.problems.append(_not_csv(name, begins, reader.line_num, str(error)))
    if not header and not rows.problems:
        rows.problems += _header_problems(name, header, 1, lines[0])
    return rows


def _not_csv(name: str, begins: int, ends: int, message: str) -> Problem:
    """A row that cannot be read: it begins in line `begins`, and the reader failed in line `ends`."""
    if message == "unexpected end of data":
        return Problem(Location(name, begins, 1), "a quote without an end, in the row that begins here", "CSV")
    if message.startswith("field larger"):
        longest = f"cells of at most {csv.field_size_limit()} characters"
        return Problem(Location(name, begins, 1), "a cell that is too long, in the row that begins here", longest)
    return Problem(Location(name, ends, 1), f"not CSV: {message}", 'a quote in a quoted cell written twice: ""')


def _header_problems(name: str, header: tuple[str, ...], begins: int, line: str) -> Iterator[Problem]:
    places = dict(enumerate(_cells(line)))
    for number, column in enumerate(header):
        at = Location(name, begins, places.get(number, 1))
        if column not in COLUMNS:
            yield unknown_name("column", column, COLUMNS, at)
        elif column in header[:number]:
            yield Problem(at, f"column {column!r} is repeated", "each column once")
    for column in _REQUIRED:
        if column not in header:
            accepted = f"a header with {', '.join(_REQUIRED)}, commas between"
            yield Problem(Location(name, begins, 1), f"column {column!r} is missing", accepted)


def _entry(cells: dict[str, str]) -> dict[str, Any]:
    """A row in the shape of the catalog's YAML; an empty cell is left out."""
    entry: dict[str, Any] = {}
    for column, cell in cells.items():
        text = cell.strip()
        if not text:
            continue
        if column in LISTS:
            if items := [item for part in text.split(";") if (item := part.strip())]:
                entry[column] = items
        elif column == BUDGET and _NUMBER.fullmatch(text):
            entry[column] = _number(text)
        else:
            entry[column] = text
    return entry


def _number(text: str) -> float | str:
    """A number that is not finite stays text, as in YAML."""
    number = float(text)
    return number if math.isfinite(number) else text


class _WrongLine(ValueError):
    """A line that is JSON, but not a row."""


def _read_json_lines(name: str, text: str) -> TenantRows:
    lines = _LINE_END.split(text)
    rows = TenantRows(name, _text=lines)
    decoder = json.JSONDecoder(
        object_pairs_hook=_each_once, parse_float=_number, parse_int=_whole, parse_constant=_no_number
    )
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = _parsed(decoder, line)
        except _WrongLine as error:
            rows.problems.append(Problem(Location(name, number, 1), str(error), "one JSON object a line"))
        except json.JSONDecodeError as error:
            message = f"not JSON: {error.msg}"
            rows.problems.append(Problem(Location(name, number, error.colno), message, "one JSON object a line"))
        else:
            rows.add(number, entry.pop(NAME, None), entry)
    return rows


def _parsed(decoder: json.JSONDecoder, line: str) -> dict[str, Any]:
    """The object in a line. Raises _WrongLine, JSONDecodeError."""
    if line.count("[") + line.count("{") > MAX_DEPTH and _is_deep(line):
        raise _WrongLine(f"JSON nested more than {MAX_DEPTH} levels deep")
    entry = decoder.decode(line)
    if not isinstance(entry, dict):
        raise _WrongLine("JSON, but not an object")
    if "\\u" in line and _SURROGATE.search(json.dumps(entry, ensure_ascii=False)):
        raise _WrongLine("half a surrogate pair: no character")
    return entry


def _is_deep(line: str) -> bool:
    depth = 0
    for char in re.sub(r'"(?:[^"\\]|\\.)*"', "", line):
        depth += (char in "[{") - (char in "]}")
        if depth > MAX_DEPTH:
            return True
    return False


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _WrongLine(f"key {next(key for key in keys if keys.count(key) > 1)!r} is repeated")
    return entry


def _whole(text: str) -> int | str:
    """A number of too many digits stays text, as in YAML."""
    return int(text) if len(text) <= MAX_DIGITS else text


def _no_number(text: str) -> Any:
    raise _WrongLine(f"{text}, which is not a number in JSON")


def _cells(line: str) -> Iterator[int]:
    """The column, 1-based, at which each cell of a line of CSV begins."""
    yield 1
    quoted = False
    for at, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            yield at + 2
