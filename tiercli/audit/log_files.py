"""Audit logs on disk, as DuckDB reads them: the files, the columns, and the lines that are not records."""

from __future__ import annotations

import glob
import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import msgspec

from tiercli.errors import BackendError, InvalidInput, Location, Problem

# The fields of a record that a report reads.
COLUMNS = {
    "at": "VARCHAR",
    "record": "VARCHAR",
    "tenant": "VARCHAR",
    "credential_id": "VARCHAR",
    "caller": "VARCHAR",
    "feature": "VARCHAR",
    "model_alias": "VARCHAR",
    "model_used": "STRUCT(provider VARCHAR, model_version VARCHAR, region VARCHAR)",
    "usage": "STRUCT(input_tokens BIGINT, output_tokens BIGINT, cache_read_tokens BIGINT, cache_write_tokens BIGINT)",
    "cost_usd": "DOUBLE",
    "price_book_version": "VARCHAR",
    "cache_status": "VARCHAR",
    "fallback_step": "BIGINT",
    "degraded": "BOOLEAN",
    "primary_failure_reason": "VARCHAR",
    "status": "VARCHAR",
    "code": "VARCHAR",
    "latency_s": "DOUBLE",
    "region": "VARCHAR",
    "calls": "BIGINT",
}
# The time of a record: seconds since 1970, or ISO 8601.
MOMENT = 'coalesce(to_timestamp(TRY_CAST("at" AS DOUBLE)), TRY_CAST("at" AS TIMESTAMPTZ))'
_SHOWN_MALFORMED = 3
_SEARCHED_BYTES = 1 << 28


def open_duckdb() -> duckdb.DuckDBPyConnection:
    """A database in memory, in UTC, that downloads no extension and prints nothing. Raises duckdb.Error."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
    return connection


def records_sql(files: Sequence[Path]) -> str:
    """The FROM clause for every file: a column is null if a record lacks it; all of them are if a line is not a record."""
    parquet = [path for path in files if path.suffix == ".parquet"]
    lines = [path for path in files if path.suffix != ".parquet"]
    parts = []
    if lines:
        columns = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in COLUMNS.items())
        parts.append(
            f"SELECT * FROM read_json([{_listed(lines)}], format = 'newline_delimited', "  # noqa: S608
            f"ignore_errors = true, maximum_object_size = 16777216, columns = {{{columns}}})"
        )
    if parquet:
        empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in COLUMNS.items())
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        parts.append(
            f"SELECT {names} FROM ((SELECT {empty} LIMIT 0) "  # noqa: S608
            f"UNION ALL BY NAME SELECT * FROM read_parquet([{_listed(parquet)}], union_by_name = true))"
        )
    return " UNION ALL BY NAME ".join(parts)


def _listed(files: Sequence[Path]) -> str:
    # read_json takes paths as patterns: brackets and stars in a file's name are escaped.
    return ", ".join(_text(re.sub(r"([*?\[\]])", r"[\1]", str(path))) for path in files)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def malformed_lines(files: Sequence[Path]) -> list[str]:
    """The first lines that are not records, as file:line; only the first part of long files is searched."""
    decode = msgspec.json.Decoder(_Timed).decode
    places: list[str] = []
    for path in files:
        if path.suffix == ".parquet":
            continue
        with _open(path) as stream:
            read = 0
            for number, line in enumerate(stream, 1):
                read += len(line)
                if line.strip() and not _is_record(decode, line):
                    places.append(f"{path}:{number}")
                if len(places) >= _SHOWN_MALFORMED or read > _SEARCHED_BYTES:
                    break
    return places[:_SHOWN_MALFORMED]


class _Timed(msgspec.Struct):
    at: float | str


def _is_record(decode: Any, line: bytes) -> bool:
    try:
        decode(line)
    except msgspec.DecodeError:
        return False
    return True


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def find_files(patterns: Sequence[str]) -> list[Path]:
    """The files that `patterns` name: paths, or globs (** is any folder). Raises InvalidInput for a pattern without files."""
    named_files: dict[Path, None] = {}
    problems = []
    for pattern in patterns:
        named = Path(pattern)
        matching = [] if named.is_file() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute ones too
        paths = [named, *map(Path, matching)]
        files = [path for path in paths if path.is_file()]
        named_files.update(dict.fromkeys(files))
        if not files:
            problems.append(Problem(Location(pattern), "no such file"))
    if problems:
        raise InvalidInput("the audit log does not exist", problems)
    return list(named_files)


def count_records(
    files: Sequence[Path], start: float, end: float, bucket_s: float
) -> tuple[dict[int, int], float | None]:
    """The calls in `files` from `start` to `end` (seconds since 1970) by bucket of `bucket_s` from `start`, and the time of
    the oldest record of all. Raises BackendError if DuckDB cannot read them."""
    connection = open_duckdb()
    try:
        connection.execute(
            f"CREATE TEMP TABLE moments AS SELECT epoch({MOMENT}) AS moment, coalesce(calls, 1) AS calls "  # noqa: S608
            f"FROM ({records_sql(files)}) WHERE coalesce(record, 'call') = 'call'"
        )
        rows = connection.execute(
            "SELECT CAST(floor((moment - $start) / $width) AS BIGINT), CAST(sum(calls) AS BIGINT) FROM moments "
            "WHERE moment >= $start AND moment < $end GROUP BY 1",
            {"start": start, "end": end, "width": bucket_s},
        ).fetchall()
        [(oldest,)] = connection.execute("SELECT min(moment) FROM moments").fetchall()
    except duckdb.Error as error:
        raise BackendError(f"the audit log cannot be read: {error}") from error
    finally:
        connection.close()
    return dict(rows), oldest
