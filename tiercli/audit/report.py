"""Reports over audit logs at full detail, by DuckDB: JSON Lines (also gzip) and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tiercli.audit.log_files import MOMENT, malformed_lines, open_duckdb, records_sql
from tiercli.catalog.names import unknown_name
from tiercli.errors import BackendError, InvalidInput, Location, Problem
from tiercli.signals.contract import SUCCESS

# The dimensions of a report, and their expression over a record.
DIMENSIONS: dict[str, str] = {
    "tenant": "tenant",
    "credential": "credential_id",
    "caller": "caller",
    "feature": "feature",
    "alias": "model_alias",
    "provider": "model_used.provider",
    "model": "model_used.model_version",
    "region": "coalesce(nullif(region, ''), nullif(model_used.region, ''))",
    "status": "status",
    "code": "code",
    "cache": "cache_status",
    "step": "fallback_step",
    "degraded": "degraded",
    "reason": "primary_failure_reason",
    "price_book": "price_book_version",
    "hour": "strftime(timezone($zone, moment), '%Y-%m-%d %H:00')",
    "day": "strftime(timezone($zone, moment), '%Y-%m-%d')",
    "month": "strftime(timezone($zone, moment), '%Y-%m')",
}
# The columns of figures, in their order.
FIGURES: dict[str, str] = {
    "calls": "CAST(sum(calls) AS BIGINT)",
    "failures": f"CAST(coalesce(sum(calls) FILTER (status <> '{SUCCESS}'), 0) AS BIGINT)",
    "input_tokens": "CAST(coalesce(sum(usage.input_tokens), 0) AS BIGINT)",
    "output_tokens": "CAST(coalesce(sum(usage.output_tokens), 0) AS BIGINT)",
    "cache_read_tokens": "CAST(coalesce(sum(usage.cache_read_tokens), 0) AS BIGINT)",
    "cost_usd": "coalesce(sum(cost_usd), 0)",
    "usd_per_1k_calls": "1000 * coalesce(sum(cost_usd), 0) / nullif(sum(calls), 0)",
    "unpriced": f"CAST(coalesce(sum(calls) FILTER (cost_usd IS NULL AND status = '{SUCCESS}'), 0) AS BIGINT)",
    "p50_s": "quantile_cont(latency_s, 0.5)",
    "p95_s": "quantile_cont(latency_s, 0.95)",
}
# As identity.hashed makes it.
_HASHED_CALLER = "left(sha256(caller), 16)"
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Question:
    """What a report shows. `by`: dimensions; `since`, `until`: seconds since 1970, `until` excluded; `where`: the value that a
    dimension must have; `order`: a figure or a dimension; `top`: the number of rows at most; `hash_caller`: the report shows a hash
    of each caller."""

    by: tuple[str, ...]
    since: float | None = None
    until: float | None = None
    where: tuple[tuple[str, str], ...] = ()
    order: str = "cost_usd"
    top: int | None = None
    time_zone: str = "UTC"
    hash_caller: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The answer. `rows` hold the dimensions, then the figures; `total` the figures of all rows, also of the `left_out` ones that
    `top` hides; `malformed` the lines that are not records, the first of them with their places."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    total: dict[str, Value]
    left_out: int
    malformed: int
    malformed_at: tuple[str, ...] = ()


def check_question(question: Question) -> None:
    """Raises InvalidInput with every unknown name in `question`."""
    place = Location("--by")
    problems = [unknown_name("dimension", name, DIMENSIONS, place) for name in question.by if name not in DIMENSIONS]
    problems += [
        unknown_name("dimension", name, DIMENSIONS, Location("--where"))
        for name, _ in question.where
        if name not in DIMENSIONS
    ]
    if question.order not in (*FIGURES, *question.by):
        problems.append(unknown_name("column", question.order, (*FIGURES, *question.by), Location("--order")))
    if problems:
        raise InvalidInput("the report cannot be made", problems)


def answer(question: Question, files: Sequence[Path]) -> Report:
    """Make a report of `files`: Parquet by their suffix, else JSON Lines, gzipped or not.

    Raises InvalidInput for an unknown dimension, and if no line of the files is a record; BackendError if DuckDB cannot read
    them.
    """
    check_question(question)
    connection = open_duckdb()
    try:
        return _ask(connection, question, files)
    except duckdb.Error as error:
        raise BackendError(f"the audit log cannot be read: {error}") from error
    finally:
        connection.close()


def _ask(connection: duckdb.DuckDBPyConnection, question: Question, files: Sequence[Path]) -> Report:
    names = [*(f'"by_{name}"' for name in question.by), *FIGURES]
    shown = DIMENSIONS | ({"caller": _HASHED_CALLER} if question.hash_caller else {})
    dimensions = [f'{shown[name]} AS "by_{name}"' for name in question.by]
    figures = [f"{expression} AS {name}" for name, expression in FIGURES.items()]
    groups = ", ".join(f'"by_{name}"' for name in question.by)
    sets = f"GROUP BY GROUPING SETS (({groups}), ())" if question.by else ""
    total = f"grouping({groups}) = {2 ** len(question.by) - 1}" if question.by else "true"
    conditions, parameters = _conditions(question)
    used = " ".join([*dimensions, *conditions])
    parameters = {name: value for name, value in parameters.items() if f"${name}" in used}
    connection.execute(
        f"""
        CREATE TEMP TABLE answer AS
        WITH record AS ({records_sql(files)}),
        timed AS (
            SELECT *, {MOMENT} AS moment FROM record
        ),
        selected AS (
            SELECT * REPLACE (CASE WHEN moment IS NOT NULL THEN coalesce(calls, 1) END AS calls),
            moment IS NULL AS malformed
            {"".join(f", {dimension}" for dimension in dimensions)}
            FROM timed
            WHERE moment IS NULL OR (coalesce(record, 'call') = 'call' {"".join(f" AND {condition}" for condition in conditions)})
        )
        SELECT {"".join(f'"by_{name}", ' for name in question.by)} {", ".join(figures)},
        count(*) FILTER (malformed) AS malformed, {total} AS is_total
        FROM selected {sets}
        """,  # noqa: S608 - only names from this file; what the operator writes is a parameter
        parameters,
    )
    [(malformed, *summed)] = _fetch(
        connection,
        f"SELECT malformed, {', '.join(FIGURES)} FROM answer WHERE is_total",  # noqa: S608
    ) or [(0, *(None for _ in FIGURES))]
    figure = dict(zip(FIGURES, summed, strict=True))
    if not figure["calls"] and malformed:
        places = malformed_lines(files)
        problems = [
            Problem(_location(place), "not an audit record, which is one JSON object a line with `at`")
            for place in places
        ]
        raise InvalidInput("no line is an audit record", problems, hint="an export with other fields needs --map")
    rows: list[tuple[Any, ...]] = []
    groups_found = 0
    if question.by:
        [(groups_found,)] = _fetch(connection, "SELECT count(*) FROM answer WHERE NOT is_total AND calls > 0")
        order = f"by_{question.order}" if question.order in question.by else question.order
        direction = "ASC" if question.order in question.by else "DESC NULLS LAST"
        rows = _fetch(
            connection,
            f"SELECT {', '.join(names)} FROM answer WHERE NOT is_total AND calls > 0 "  # noqa: S608
            f'ORDER BY "{order}" {direction}, {groups} LIMIT {int(question.top or groups_found)}',
        )
    columns = (*question.by, *FIGURES)
    places = malformed_lines(files) if malformed else []
    return Report(columns, tuple(rows), figure, groups_found - len(rows), malformed, tuple(places))


def _fetch(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def _conditions(question: Question) -> tuple[list[str], dict[str, Value]]:
    conditions: list[str] = []
    parameters: dict[str, Value] = {"zone": question.time_zone}
    if question.since is not None:
        conditions.append("moment >= to_timestamp($since)")
        parameters["since"] = question.since
    if question.until is not None:
        conditions.append("moment < to_timestamp($until)")
        parameters["until"] = question.until
    for number, (name, value) in enumerate(question.where):
        conditions.append(f"coalesce(CAST({DIMENSIONS[name]} AS VARCHAR), '') = $where{number}")
        parameters[f"where{number}"] = value
    return conditions, parameters


def _location(place: str) -> Location:
    file, _, line = place.rpartition(":")
    return Location(file, int(line))
