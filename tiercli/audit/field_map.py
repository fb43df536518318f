"""A map from another export (a provider's usage or log export, CSV or JSON) to the audit record's fields."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import Field, model_validator

from tiercli.audit.identity import hashed
from tiercli.audit.record import AuditRecord
from tiercli.catalog.document import read_document
from tiercli.catalog.field_types import Model
from tiercli.catalog.model import Candidate
from tiercli.catalog.names import unknown_name
from tiercli.catalog.shape import load_model
from tiercli.errors import BackendError, InvalidInput, Location, Problem
from tiercli.resources import resource_folder
from tiercli.signals.error_codes import code_of

_EPOCH_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# The fields that a map can fill, by their type.
_TEXT = (
    "request_id",
    "tenant",
    "credential_id",
    "caller",
    "feature",
    "model_alias",
    "deployment",
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
Deployments = Mapping[str, Candidate]


class FieldSource(Model):
    """The source of a field: a column (for JSON a path with dots), the first of several that says something, or a constant. Then,
    in this order: `since` makes a time the seconds after another, `match` takes the first group of a regular expression, `cases`
    replaces texts, `means` reads an HTTP status as its error code, `times` multiplies a number, `less` takes other fields off it,
    `hash` hides a text. What gives nothing leaves the field to its `else`."""

    column: str | tuple[str, ...] | None = Field(
        default=None,
        alias="from",
        description="a column, or a path with dots; of several, the first that says something",
    )
    value: Scalar | None = Field(default=None, description="the same for every row")
    when: dict[str, str] = Field(
        default={}, description="only where each of these columns matches a regular expression as a whole"
    )
    unit: Literal["iso", "s", "ms", "us", "ns"] = Field(default="iso", description="of a time; a number in JSON is s")
    unknown: tuple[Scalar, ...] = Field(default=(), description="values that say nothing")
    since: str | None = Field(default=None, description="the column of an earlier time")
    match: str | None = Field(default=None, description="a regular expression with one group")
    cases: dict[str, str] = {}
    otherwise: str | None = Field(default=None, description="for values without a case")
    means: Literal["http_status"] | None = Field(default=None, description="the error code of this status")
    times: float = 1.0
    less: tuple[str, ...] = Field(default=(), description="fields whose numbers are taken off this one")
    hash: bool = Field(default=False, description="the first 16 digits of its SHA-256 instead of the text")
    alternative: FieldSource | None = Field(default=None, alias="else", description="the source if this gives nothing")

    @property
    def choices(self) -> tuple[str, ...]:
        """The columns that can give the value."""
        if self.column is None:
            return ()
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def columns(self) -> Iterator[str]:
        """Every column that it reads."""
        yield from self.choices
        yield from self.when
        if self.since is not None:
            yield self.since
        if self.alternative is not None:
            yield from self.alternative.columns

    @model_validator(mode="after")
    def _one_of_two(self) -> FieldSource:
        if bool(self.choices) == (self.value is not None):
            raise ValueError("give either `from` or `value`")
        if unknown := sorted(set(self.less) - {*_WHOLE, *_NUMBERS}):
            raise ValueError(f"`less` names {', '.join(unknown)}; a number is {', '.join((*_WHOLE, *_NUMBERS))}")
        if self.match is not None and _groups("match", self.match) != 1:
            raise ValueError("`match` needs exactly one group: its text is taken")
        for pattern in self.when.values():
            _groups("when", pattern)
        return self


def _groups(name: str, pattern: str) -> int:
    """How many groups the regular expression at `name` has. Raises ValueError if it is none."""
    try:
        return re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"`{name}` is not a regular expression: {error}") from error


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


def map_names() -> list[str]:
    """The maps that come with tiercli."""
    return sorted(path.stem for path in _shipped().glob("*.yaml"))


def load_field_map(path: Path) -> FieldMap:
    """Read a map file, or the map of that name that comes with tiercli. Raises InvalidInput with every problem at its place."""
    name = str(path)
    if not path.exists() and path.name == name and not path.suffix:
        if name not in map_names():
            raise InvalidInput(
                f"{name!r} is neither a file nor a map of tiercli",
                [unknown_name("map", name, map_names(), Location("--map"))],
            )
        path = _shipped() / f"{name}.yaml"
    return load_model(read_document(path), FieldMap)


def _shipped() -> Path:
    return resource_folder("catalogs") / "audit-maps"


class RowError(ValueError):
    """A row that does not become a record."""


def mapped_rows(
    path: Path, field_map: FieldMap, deployments: Deployments | None = None
) -> Iterator[tuple[int, AuditRecord | RowError]]:
    """Each row of `path` with its line (for `json` its number), as a record, or as the error that it is. `deployments`: those of the
    catalog's gateway. Raises InvalidInput if the file as a whole does not have the map's format, BackendError if it cannot be
    read."""
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
            yield line, make_record(field_map, row, deployments)
        except RowError as error:
            yield line, error


def _rows(path: Path, text: str, field_map: FieldMap) -> Iterator[tuple[int, Mapping[str, Any] | RowError]]:
    if field_map.format == "csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        missing = sorted(
            {column for source in field_map.fields.values() for column in source.columns} - set(reader.fieldnames or ())
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


def make_record(field_map: FieldMap, row: Mapping[str, Any], deployments: Deployments | None = None) -> AuditRecord:
    """The record of one row; `deployments`: those of the catalog's gateway. Raises RowError if a value does not fit its field."""
    values = {name: _value(name, source, row) for name, source in field_map.fields.items()}
    for name, source in field_map.fields.items():
        if source.less and values[name] is not None:
            values[name] = max(0, values[name] - sum(values.get(other) or 0 for other in source.less))
    deployment = values.pop("deployment", None)
    flat: dict[str, Any] = {"record": field_map.each}
    for name, value in values.items():
        if value is None:
            continue
        outer, _, inner = name.partition(".")
        if inner:
            flat.setdefault(outer, {})[inner] = value
        else:
            flat[name] = value
    if "deployment" in field_map.fields:
        _place(flat, (deployments or {}).get(deployment or ""))
    used = flat.get("model_used")
    if used is not None:
        used.setdefault("provider", "")
        used.setdefault("model_version", "")
    try:
        return msgspec.convert(flat, AuditRecord)
    except msgspec.ValidationError as error:
        raise RowError(str(error)) from error


def _place(flat: dict[str, Any], deployment: Candidate | None) -> None:
    """What was called: the deployment, else what the row says of it; nothing where it names no provider. An answer out of a cache
    calls nothing and uses no token."""
    if deployment is not None:
        flat["model_used"] = {
            "provider": deployment.provider,
            "model_version": deployment.model,
            "region": deployment.region,
        }
    elif not flat.get("model_used", {}).get("provider"):
        flat.pop("model_used", None)
    if str(flat.get("cache_status")).endswith("hit"):
        flat.setdefault("region", flat.pop("model_used", {}).get("region"))
        flat["usage"] = {}


def _value(name: str, source: FieldSource, row: Mapping[str, Any]) -> Any:
    """The value of a field, of the first source that gives one."""
    value = _own_value(name, source, row)
    if value in (None, "") and source.alternative is not None:
        return _value(name, source.alternative, row)
    return value


def _own_value(name: str, source: FieldSource, row: Mapping[str, Any]) -> Any:
    if not all(re.fullmatch(pattern, _text(_column(row, column))) for column, pattern in source.when.items()):
        return None
    value: Any = source.value
    for column in source.choices:
        value = _column(row, column)
        if value in source.unknown:
            value = None
        if value not in (None, ""):
            break
    if source.since is not None and value is not None:
        began = _column(row, source.since)
        value = None if began in (None, "") else _moment(name, value, source) - _moment(name, began, source)
    if source.match is not None and value is not None:
        matched = re.search(source.match, str(value))
        value = matched.group(1) if matched else None
    if source.cases or source.otherwise is not None:
        value = source.cases.get(_text(value), source.otherwise)
    if source.means is not None:
        value = code_of(int(value)) if re.fullmatch(r"[1-5][0-9][0-9]", _text(value)) else None
    if value is None or (value == "" and name != "status"):
        return None
    if name == "at":
        return _moment(name, value, source)
    if name in _TEXT:
        return hashed(str(value)) if source.hash else str(value)
    try:
        number = float(value) * source.times
    except (TypeError, ValueError) as error:
        raise RowError(f"{name}: {value!r} is not a number") from error
    return round(number) if name in _WHOLE else number


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _column(row: Mapping[str, Any], path: str) -> Any:
    """The column of that name; else down the objects that the dots name, also where one is written as text."""
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        if isinstance(value, str):
            value = _written_object(value)
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@lru_cache(maxsize=4)  # every path into a column reads the same text
def _written_object(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _moment(name: str, value: Any, source: FieldSource) -> float:
    unit = source.unit
    try:
        if unit != "iso":
            return float(value) * _EPOCH_UNITS[unit]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        moment = datetime.fromisoformat(str(value))
    except (TypeError, ValueError) as error:
        accepted = "ISO 8601" if unit == "iso" else f"a number of {unit} since 1970"
        raise RowError(f"{name}: {value!r} is not {accepted}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
