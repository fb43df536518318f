"""A map from another export (a provider's usage or log export, CSV or JSON) to the audit record's fields."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import Field, model_validator

from tiercli.audit.record import AuditRecord
from tiercli.catalog.document import read_document
from tiercli.catalog.field_types import Model
from tiercli.catalog.shape import load_model
from tiercli.errors import BackendError, InvalidInput, Location, Problem

_EPOCH_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# The fields that a map can fill, by their type.
_TEXT = (
    "request_id",
    "tenant",
    "feature",
    "model_alias",
    "model_used.provider",
    "model_used.model_version",
    "model_used.region",
    "price_book_version",
    "cache_status",
    "primary_failure_reason",
    "status",
    "code",
    "region",
    "refusal",
)
_WHOLE = (
    "usage.input_tokens",
    "usage.output_tokens",
    "usage.cache_read_tokens",
    "usage.cache_write_tokens",
    "fallback_step",
    "http_status",
    "calls",
)
_NUMBERS = ("cost_usd", "latency_s", "ttft_s", "score")
FIELDS = ("at", *_TEXT, *_WHOLE, *_NUMBERS)
Scalar = str | int | float | bool


class FieldSource(Model):
    """The source of a field: a column (for JSON a path with dots), or a constant. Then, in this order: `match` takes the first
    group of a regular expression, `cases` replaces texts, `times` multiplies a number."""

    column: str | None = Field(default=None, alias="from", description="a column, or a path with dots")
    value: Scalar | None = Field(default=None, description="the same for every row")
    unit: Literal["iso", "s", "ms", "us", "ns"] = Field(default="iso", description="of a time")
    match: str | None = Field(default=None, description="a regular expression with one group")
    cases: dict[str, str] = {}
    otherwise: str | None = Field(default=None, description="for values without a case")
    times: float = 1.0

    @model_validator(mode="after")
    def _one_of_two(self) -> FieldSource:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either `from` or `value`")
        if self.match is not None:
            try:
                groups = re.compile(self.match).groups
            except re.error as error:
                raise ValueError(f"`match` is not a regular expression: {error}") from error
            if groups != 1:
                raise ValueError("`match` needs exactly one group: its text is taken")
        return self


class FieldMap(Model):
    """A map file. A row is a call, or as many as its field `calls` has, or an eval score."""

    format: Literal["csv", "jsonl", "json"]
    records: str = Field(
        default="", description="json: the path with dots to the list of rows; without it the file is one"
    )
    each: Literal["call", "eval_score"] = "call"
    fields: dict[str, FieldSource]

    @model_validator(mode="after")
    def _known_fields(self) -> FieldMap:
        unknown = sorted(set(self.fields) - set(FIELDS))
        if unknown:
            raise ValueError(f"unknown field {', '.join(unknown)}; a record has {', '.join(FIELDS)}")
        if "at" not in self.fields:
            raise ValueError("`at`, the time of the row, is missing")
        return self


def load_field_map(path: Path) -> FieldMap:
    """Read a map file. Raises InvalidInput with every problem at its place."""
    return load_model(read_document(path), FieldMap)


class RowError(ValueError):
    """A row that does not become a record."""


def mapped_rows(path: Path, field_map: FieldMap) -> Iterator[tuple[int, AuditRecord | RowError]]:
    """Each row of `path` with its line (for `json` its number), as a record, or as the error that it is. Raises InvalidInput if the
    file as a whole does not have the map's format, BackendError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BackendError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not text in UTF-8", [Problem(Location(str(path)), str(error))]) from error
    for line, row in _rows(path, text, field_map):
        if isinstance(row, RowError):
            yield line, row
            continue
        try:
            yield line, make_record(field_map, row)
        except RowError as error:
            yield line, error


def _rows(path: Path, text: str, field_map: FieldMap) -> Iterator[tuple[int, Mapping[str, Any] | RowError]]:
    if field_map.format == "csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        missing = sorted(
            {source.column for source in field_map.fields.values() if source.column} - set(reader.fieldnames or ())
        )
        if missing:
            problem = Problem(
                Location(str(path), 1), f"no column {', '.join(missing)}", ", ".join(reader.fieldnames or ("none",))
            )
            raise InvalidInput(f"{path} does not fit the map", [problem])
        for row in reader:
            yield reader.line_num, row
        return
    if field_map.format == "jsonl":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, _object(line)
        return
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON", [Problem(Location(str(path)), str(error))]) from error
    for name in filter(None, field_map.records.split(".")):
        rows = rows.get(name) if isinstance(rows, dict) else None
    if not isinstance(rows, list):
        problem = Problem(Location(str(path)), f"no list at {field_map.records or 'the top'}")
        raise InvalidInput(f"{path} does not fit the map", [problem])
    for number, row in enumerate(rows, 1):
        yield number, row if isinstance(row, dict) else RowError("not an object")


def _object(line: str) -> Mapping[str, Any] | RowError:
    try:
        row = json.loads(line)
    except ValueError as error:
        return RowError(str(error))
    return row if isinstance(row, dict) else RowError("not an object")


def make_record(field_map: FieldMap, row: Mapping[str, Any]) -> AuditRecord:
    """The record of one row. Raises RowError if a value does not fit its field."""
    flat: dict[str, Any] = {"record": field_map.each}
    for name, source in field_map.fields.items():
        value = _value(name, source, row)
        if value is None:
            continue
        outer, _, inner = name.partition(".")
        if inner:
            flat.setdefault(outer, {})[inner] = value
        else:
            flat[name] = value
    used = flat.get("model_used")
    if used is not None:
        used.setdefault("provider", "")
        used.setdefault("model_version", "")
    try:
        return msgspec.convert(flat, AuditRecord)
    except msgspec.ValidationError as error:
        raise RowError(str(error)) from error


def _value(name: str, source: FieldSource, row: Mapping[str, Any]) -> Any:
    value: Any = source.value if source.column is None else _column(row, source.column)
    if source.match is not None and value is not None:
        matched = re.search(source.match, str(value))
        value = matched.group(1) if matched else None
    if source.cases or source.otherwise is not None:
        value = source.cases.get("" if value is None else str(value), source.otherwise)
    if value is None or (value == "" and name not in _TEXT):
        return None
    if name == "at":
        return _moment(value, source.unit)
    if name in _TEXT:
        return str(value)
    try:
        number = float(value) * source.times
    except (TypeError, ValueError) as error:
        raise RowError(f"{name}: {value!r} is not a number") from error
    return round(number) if name in _WHOLE else number


def _column(row: Mapping[str, Any], path: str) -> Any:
    """The column of that name; else down the objects that the dots name."""
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _moment(value: Any, unit: str) -> float:
    try:
        if unit != "iso":
            return float(value) * _EPOCH_UNITS[unit]
        moment = datetime.fromisoformat(str(value))
    except (TypeError, ValueError) as error:
        accepted = "ISO 8601" if unit == "iso" else f"a number of {unit} since 1970"
        raise RowError(f"at: {value!r} is not {accepted}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
