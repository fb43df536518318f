"""`tiercli audit report`: figures out of logs of every form, and what stands in them that is no record."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.audit.records import BEGAN, call, lines, write_log
from tests.conftest import Done
from tiercli.audit.report import DIMENSIONS, Question, Report, answer
from tiercli.errors import InvalidInput

Run = Callable[..., Done]


def of(report: Report, column: str) -> dict[Any, Any]:
    """A column by the first dimension."""
    place = report.columns.index(column)
    return {row[0]: row[place] for row in report.rows}


def test_the_figures_are_those_of_the_records(tmp_path: Path) -> None:
    records = [call(number, latency_s=number / 100, cost_usd=number) for number in range(101)]
    records += [
        call(
            tenant="globex-media",
            status="failure",
            code="UPSTREAM_TIMEOUT",
            model_used=None,
            cost_usd=0,
            latency_s=30.0,
        ),
        call(tenant="globex-media", cost_usd=None),
        call(
            tenant=None, feature=None, status="failure", code="INVALID_REQUEST", model_used=None, usage=None, cost_usd=0
        ),
        {"at": BEGAN, "record": "eval_score", "model_alias": "chat", "score": 0.9},
    ]
    report = answer(Question(("tenant",)), [write_log(tmp_path / "a.jsonl", records)])
    rows = {row[0]: dict(zip(report.columns, row, strict=True)) for row in report.rows}
    assert list(rows) == ["acme-corp", "globex-media", None]
    assert rows["acme-corp"] == {
        "tenant": "acme-corp",
        "calls": 101,
        "failures": 0,
        "input_tokens": 10_100,
        "output_tokens": 4040,
        "cache_read_tokens": 0,
        "cost_usd": 5050,
        "usd_per_1k_calls": 50_000,
        "unpriced": 0,
        "p50_s": 0.5,
        "p95_s": 0.95,
    }
    assert (rows["globex-media"]["failures"], rows["globex-media"]["unpriced"]) == (1, 1)
    assert (rows[None]["calls"], rows[None]["failures"], rows[None]["input_tokens"]) == (1, 1, 0)
    assert (report.total["calls"], report.total["cost_usd"], report.left_out, report.malformed) == (104, 5050, 0, 0)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_dimension_adds_up_to_the_same(tmp_path: Path, dimension: str) -> None:
    records = [call(3600 * number, fallback_step=number % 2, degraded=bool(number % 2)) for number in range(10)]
    log = write_log(tmp_path / "a.jsonl", [*records, call(status="failure", code="X", model_used=None)])
    report = answer(Question((dimension,), time_zone="Asia/Kolkata"), [log])
    assert sum(of(report, "calls").values()) == report.total["calls"] == 11
    if dimension == "hour":
        assert min(of(report, "calls")) == "2025-11-21 10:00"  # 04:40 UTC
    if dimension == "region":
        assert of(report, "calls") == {"ap-south-1": 10, None: 1}


def test_json_lines_gzip_and_parquet_are_one_log(tmp_path: Path) -> None:
    plain = write_log(tmp_path / "a.jsonl", [call(0)])
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as stream:
        stream.write(lines([call(1), call(2)]))
    parquet = tmp_path / "c.parquet"
    more = write_log(tmp_path / "c.jsonl", [call(3), call(4), call(5)])
    duckdb.read_json(str(more)).write_parquet(str(parquet))
    report = answer(Question(("tenant",)), [plain, tmp_path / "b.jsonl.gz", parquet])
    assert of(report, "calls") == {"acme-corp": 6}
    assert report.total["cost_usd"] == 1.5


def test_since_until_where_order_and_top(tmp_path: Path) -> None:
    records = [call(number, feature=f"f{number}", cost_usd=number, latency_s=1 / (number + 1)) for number in range(10)]
    iso = [call(feature="iso", cost_usd=100) | {"at": "2025-11-21T10:10:05+05:30"}]  # five seconds in
    log = write_log(tmp_path / "a.jsonl", [*records, *iso])
    by = Question(("feature",), since=BEGAN + 3, until=BEGAN + 8, top=2)
    report = answer(by, [log])
    assert of(report, "cost_usd") == {"iso": 100, "f7": 7}
    assert (report.left_out, report.total["calls"]) == (4, 6)
    slowest = answer(Question(("feature",), order="p95_s", top=1), [log])
    assert list(of(slowest, "p95_s")) == ["f0"]
    alphabet = answer(Question(("feature",), order="feature", top=2), [log])
    assert list(of(alphabet, "calls")) == ["f0", "f1"]
    hostile = call(tenant="'; DROP TABLE answer; --")
    write_log(log, [hostile])
    asked = answer(Question(("tenant",), where=(("tenant", hostile["tenant"]),)), [log])
    assert of(asked, "calls") == {hostile["tenant"]: 1}


def test_lines_that_are_no_record_are_left_out_and_told(tmp_path: Path) -> None:
    log = tmp_path / "it's [odd]*.jsonl"
    log.write_text(lines([call(0)]) + "rubbish\n\n[1]\n" + lines([call(1)]) + '{"at": 17637', encoding="utf-8")
    report = answer(Question(("tenant",)), [log])
    assert (report.total["calls"], report.malformed) == (2, 3)
    assert report.malformed_at == (f"{log}:2", f"{log}:4", f"{log}:6")


def test_what_is_no_audit_log_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "a.csv"
    log.write_text("tenant,cost\nacme,1\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="no line is an audit record") as caught:
        answer(Question(("tenant",)), [log])
    assert [str(one.location) for one in caught.value.problems] == [f"{log}:1", f"{log}:2"]


def test_an_empty_log_has_no_calls(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    report = answer(Question(("tenant",)), [tmp_path / "a.jsonl"])
    assert (report.rows, report.malformed) == ((), 0)
    assert not report.total["calls"]


def test_the_command_finds_files_by_globs_and_writes_tables_csv_and_json(run_tiercli: Run, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    write_log(tmp_path / "old" / "a.jsonl", [call(0)])
    write_log(tmp_path / "b.jsonl", [call(1), call(2, tenant="globex-media", cost_usd=9)])
    pattern = str(tmp_path / "**" / "*.jsonl")
    done = run_tiercli("audit", "report", "--by", "tenant", "--format", "csv", pattern)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["tenant"], row["calls"], row["cost_usd"]) for row in rows] == [
        ("globex-media", "1", "9.0"),
        ("acme-corp", "2", "0.5"),
    ]
    done = run_tiercli("audit", "report", "--by", "tenant", "--format", "json", "--top", "1", pattern)
    said = json.loads(done.stdout)
    assert (said["rows"][0]["tenant"], said["left_out"], said["total"]["cost_usd"]) == ("globex-media", 1, 9.5)
    done = run_tiercli("audit", "report", "--by", "tenant,feature", pattern)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].split()[:3] == ["all", "3", "0"]


def test_a_name_out_of_a_log_is_nothing_that_a_terminal_obeys(run_tiercli: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", [call(tenant="\x1b[31mred[/bold]\n")])
    done = run_tiercli("audit", "report", "--by", "tenant", str(log))
    assert done.returncode == 0
    assert "\\x1b[31mred[/bold]\\n" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--by", "tennant"), "unknown dimension 'tennant'; did you mean 'tenant'?"),
        (("--order", "price"), "unknown column 'price'"),
        (("--where", "tenant"), "--where 'tenant' has no ="),
        (("--where", "colour=red"), "unknown dimension 'colour'"),
        (("--since", "yesterday"), "--since 'yesterday' is not a time"),
        (("--time-zone", "Mars/Olympus"), "'Mars/Olympus' is not a time zone"),
    ],
)
def test_a_question_that_cannot_be_asked_is_exit_2(
    run_tiercli: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    log = write_log(tmp_path / "a.jsonl", [call()])
    done = run_tiercli("audit", "report", *arguments, str(log))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_file_that_is_not_there_is_exit_2(run_tiercli: Run, tmp_path: Path) -> None:
    done = run_tiercli("audit", "report", str(tmp_path / "*.jsonl"), str(tmp_path / "b.jsonl"))
    assert done.returncode == 2
    assert done.stderr.count("no such file") == 2
