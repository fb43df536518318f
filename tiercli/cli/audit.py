"""`tiercli audit`: questions to the gateway's audit log, and whether it has every call."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer

from tiercli.audit.completeness import BUCKET_S, CALLS_SERIES, Bucket, judge_completeness, judge_retention
from tiercli.audit.field_map import RowError, load_field_map, mapped_rows
from tiercli.audit.log_files import count_records, find_files
from tiercli.audit.report import Question, answer, check_question
from tiercli.catalog.loading import load_catalog
from tiercli.cli.audit_view import print_check, print_report
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, FieldMapFile, TextCsvOrJson, TextOrJson
from tiercli.cli.terminal import error_console
from tiercli.clients.prometheus import PrometheusClient
from tiercli.durations import parse_duration
from tiercli.errors import CheckFailed, InvalidInput

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE…", help="JSON Lines, also .gz, and Parquet; globs too.", show_default=False),
]


@examples(
    "tiercli audit report --by tenant,feature --since 30d --top 20 audit.jsonl",
    "tiercli audit report --by day --where tenant=acme-corp --format csv 'archive/**/*.parquet' audit.jsonl.1.gz audit.jsonl",
    "tiercli audit report --by model --map openai-usage.yaml usage.csv",
    "tiercli audit report --by tenant,caller --hash-caller --map litellm --catalog my.yaml spend-logs.jsonl",
)
def report(
    files: Files,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="DIMENSIONS",
            help="Of tenant, credential, caller, feature, alias, provider, model, region, status, code, cache, step, degraded, "
            "reason, price_book, hour, day, month; with commas.",
        ),
    ] = "tenant,feature,alias",
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Start: an age (7d) or a time (2026-11-01T08:00).")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="End, not included; likewise.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="DIMENSION=VALUE", help="Only these records, as KEY=VALUE; may be repeated."),
    ] = None,
    order: Annotated[str, typer.Option("--order", metavar="COLUMN", help="Sort by this, largest first.")] = "cost_usd",
    top: Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Only the first N rows.")] = None,
    zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="Time zone of hours, days and months.")
    ] = "UTC",
    hash_caller: Annotated[bool, typer.Option("--hash-caller", help="Show a hash of each caller.")] = False,
    field_map: FieldMapFile = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            "--catalog",
            metavar="CATALOG",
            envvar="TIERCLI_CATALOG",
            help="Catalog whose gateway.deployments a map's deployments are.",
        ),
    ] = None,
    form: TextCsvOrJson = "text",
) -> None:
    """Query audit logs in full detail: calls, failures, tokens, cost and latency by any dimensions.

    Metrics under a cardinality policy have fewer labels. The log has all of them.
    """

    now = time.time()
    question = Question(
        tuple(name.strip() for name in by.split(",") if name.strip()),
        _moment("--since", since, now, zone),
        _moment("--until", until, now, zone),
        tuple(_pair(condition) for condition in where or ()),
        order,
        top,
        _zone(zone),
        hash_caller,
    )
    check_question(question)
    with _converted(find_files(files), field_map, catalog) as paths, _working(f"reading {len(paths)} files"):
        answered = answer(question, paths)
    print_report(answered, form)
    if answered.malformed:
        places = ", ".join(answered.malformed_at)
        error_console().print(
            f"{answered.malformed:,} lines are no audit record and were left out{f': {places}' if places else ''}",
            markup=False,
        )


@examples(
    "tiercli audit check catalogs/hybrid.yaml --prometheus http://prometheus.internal:9090 --since 6h audit.jsonl",
    "tiercli audit check my.yaml --began 2026-09-01 'audit/*.jsonl'      (retention only)",
)
def check(
    catalog: CatalogFile,
    files: Files,
    prometheus: Annotated[
        str | None,
        typer.Option(
            "--prometheus",
            metavar="URL",
            envvar="TIERCLI_PROMETHEUS_URL",
            help="URL of the Prometheus that counted the calls.",
        ),
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="Compare from: an age (6h) or a time.")] = "1h",
    until: Annotated[
        str, typer.Option("--until", metavar="WHEN", help="Compare until; a minute is left for late records.")
    ] = "1m",
    at_least: Annotated[
        float,
        typer.Option(
            "--at-least", min=0, max=1, metavar="SHARE", help="Least share of counted calls that the log must have."
        ),
    ] = 0.99,
    began: Annotated[
        str | None,
        typer.Option("--began", metavar="DATE", help="Date on which traffic began; nothing is missing before it."),
    ] = None,
    form: TextOrJson = "text",
) -> None:
    """Compare the audit log with the calls that Prometheus counted. Report gaps, and records that were kept
    for less time than the catalog requires.

    Exit 1 if records are missing, more than the calls, or were not kept, 3 if Prometheus does not answer.
    """

    loaded = load_catalog(catalog)
    now = time.time()
    zone = loaded.catalog.time_zone
    start, end = (_moment(name, text, now, zone) for name, text in (("--since", since), ("--until", until)))
    assert start is not None  # noqa: S101 - both have defaults
    assert end is not None  # noqa: S101
    end = float(int(end))  # so that both sides have the same ends
    buckets = int((end - start) // BUCKET_S)
    if buckets < 1:
        raise InvalidInput(
            f"less than {BUCKET_S:g} s lie between --since and --until", hint="calls are compared by 5 minutes"
        )
    start = end - buckets * BUCKET_S
    paths = find_files(files)
    counted = asyncio.run(_counted(prometheus, start, end)) if prometheus is not None else None
    with _working(f"reading {len(paths)} files"):
        records, oldest = count_records(paths, start, end, BUCKET_S)
    verdict = None
    if counted is not None:
        ends = [start + (number + 1) * BUCKET_S for number in range(buckets)]
        verdict = judge_completeness(
            [Bucket(at, records.get(number, 0), counted.get(round(at))) for number, at in enumerate(ends)], at_least
        )
    demanded = loaded.catalog.audit.retention.model_dump(exclude_none=True)
    kept = judge_retention(
        {purpose: parse_duration(text) for purpose, text in demanded.items()},
        oldest,
        now,
        _moment("--began", began, now, zone),
    )
    print_check(verdict, kept, oldest, (start, end), zone, form)
    failed = [] if verdict is None or verdict.complete else ["records are missing"]
    if verdict is not None and verdict.excessive:
        failed.append("there are more records than calls")
    failed += [f"records are not kept for {retention.purpose}" for retention in kept if not retention.holds]
    if failed:
        raise CheckFailed("; ".join(failed))


async def _counted(url: str, start: float, end: float) -> dict[int, float]:
    """Calls by the end of their five minutes."""

    async with PrometheusClient(url) as client:
        series = await client.query_range(f"sum({CALLS_SERIES})", start + BUCKET_S, end, BUCKET_S)
    return {round(at): value for series in series for at, value in series.points}


@contextmanager
def _converted(paths: list[Path], field_map: Path | None, catalog: Path | None) -> Iterator[list[Path]]:
    """The files as they are; with a map, as audit records in a folder that is gone afterwards."""
    if field_map is None:
        yield paths
        return

    mapping = load_field_map(field_map)
    deployments = load_catalog(catalog).catalog.gateway.deployments if catalog is not None else None
    with tempfile.TemporaryDirectory(prefix="tiercli-audit-") as folder:
        made = Path(folder) / "records.jsonl"
        with made.open("wb") as stream:
            for path in paths:
                for line, record in mapped_rows(path, mapping, deployments):
                    if isinstance(record, RowError):
                        error_console().print(f"{path}:{line}: left out: {record}", markup=False)
                    else:
                        stream.write(msgspec.json.encode(record) + b"\n")
        yield [made]


@contextmanager
def _working(message: str) -> Iterator[None]:
    console = error_console()
    if not console.is_terminal:
        yield
        return
    with console.status(message):
        yield


def _moment(option: str, text: str | None, now: float, zone: str) -> float | None:
    """A time in seconds since 1970: so long before now, or a date with or without a time, in the zone."""

    if text is None:
        return None
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"{option} {text!r} is not a time", hint="such as 7d, 2026-11-01 or 2026-11-01T08:00"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(_zone(zone)))).timestamp()


def _zone(name: str) -> str:

    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidInput(f"{name!r} is not a time zone", hint="name one such as Asia/Kolkata") from error


def _pair(text: str) -> tuple[str, str]:

    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput(f"--where {text!r} has no =", hint="such as --where tenant=acme-corp")
    return name.strip(), value
