"""`tiercli audit check`: the log against what a real Prometheus counted, its gaps, and how far back it goes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.audit.records import call, write_log
from tests.clients.live_servers import free_port, running
from tests.conftest import HYBRID, Done
from tiercli.audit.completeness import BUCKET_S, CALLS_SERIES, Bucket, judge_completeness, judge_retention
from tiercli.sandbox.stack.binaries import StackBinaries

Run = Callable[..., Done]
CALLS_IN_5M = 60.0
HOURS = 3


@pytest.fixture(scope="module")
def now() -> float:
    """When these tests began."""
    return time.time()


@pytest.fixture(scope="module")
def counted(stack: StackBinaries, tmp_path_factory: pytest.TempPathFactory, now: float) -> Iterator[str]:
    """A Prometheus that counted a call every five seconds for three hours, but nothing from 2 h 30 to 2 h 10 ago."""
    folder = tmp_path_factory.mktemp("prometheus")
    lines = [f"# TYPE {CALLS_SERIES} gauge"]
    for ago in range(HOURS * 3600, -900, -60):  # a little into the future: the tests take a while
        if not 130 * 60 < ago < 150 * 60:
            lines.append(f"{CALLS_SERIES} {CALLS_IN_5M} {now - ago:.0f}")
    history = folder / "history.om"
    history.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    command = [stack.promtool.path, "tsdb", "create-blocks-from", "openmetrics", history, folder / "data"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("scrape_configs: []\n", encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with running(
        [str(stack.prometheus.path), *arguments, f"--web.listen-address={url.removeprefix('http://')}"],
        folder,
        f"{url}/-/ready",
    ):
        yield url


def log_of(folder: Path, now: float, *, without: tuple[int, int] = (0, 0), hours: float = HOURS) -> Path:
    """A call every five seconds up to now, but none between so many minutes ago."""
    ages = range(int(hours * 3600), 0, -5)
    records = [call() | {"at": now - age} for age in ages if not without[1] * 60 < age <= without[0] * 60]
    return write_log(folder / "audit.jsonl", records)


def catalog(folder: Path, **retention: str) -> str:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    data["audit"] = {"retention": retention}
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return str(path)


def check(run_tiercli: Run, *arguments: object) -> tuple[int, dict[str, Any]]:
    done = run_tiercli("audit", "check", *map(str, arguments), "--format", "json")
    assert done.returncode in {0, 1}, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, said


def test_a_log_with_every_call_is_complete(run_tiercli: Run, counted: str, now: float, tmp_path: Path) -> None:
    log = log_of(tmp_path, now)
    code, said = check(run_tiercli, catalog(tmp_path), log, "--prometheus", counted, "--since", "2h")
    completeness = said["completeness"]
    assert (code, completeness["complete"], completeness["gaps"]) == (0, True, [])
    assert completeness["counted_calls"] == 23 * CALLS_IN_5M
    assert completeness["share"] == pytest.approx(1, abs=0.01)


def test_a_gap_is_named_with_its_time_and_is_exit_1(run_tiercli: Run, counted: str, now: float, tmp_path: Path) -> None:
    log = log_of(tmp_path, now, without=(60, 40))
    demanding = catalog(tmp_path)
    done = run_tiercli("audit", "check", demanding, str(log), "--prometheus", counted, "--since", "2h")
    assert done.returncode == 1
    assert "✗ gap " in done.stdout
    assert "error: records are missing\n" in done.stderr
    _, said = check(run_tiercli, demanding, log, "--prometheus", counted, "--since", "2h")
    [gap] = said["completeness"]["gaps"]
    assert now - 3600 - BUCKET_S <= gap["since"] <= now - 3600 + BUCKET_S
    assert now - 2400 - BUCKET_S <= gap["until"] <= now - 2400 + BUCKET_S


def test_more_records_than_calls_are_a_finding(run_tiercli: Run, counted: str, now: float, tmp_path: Path) -> None:
    log = log_of(tmp_path, now)
    again = [call() | {"at": now - age} for age in range(3600, 1800, -30)]
    twice = write_log(tmp_path / "again.jsonl", again)
    arguments = ("audit", "check", catalog(tmp_path), str(log), str(twice), "--prometheus", counted, "--since", "2h")
    done = run_tiercli(*arguments)
    assert done.returncode == 1
    assert "✗ more than 100.5%: records were written twice" in done.stdout
    assert "error: there are more records than calls\n" in done.stderr
    said = json.loads(run_tiercli(*arguments, "--format", "json").stdout)["completeness"]
    assert (said["complete"], said["excessive"]) == (True, True)
    assert said["share"] > 1.005


def test_what_prometheus_does_not_know_is_not_judged(
    run_tiercli: Run, counted: str, now: float, tmp_path: Path
) -> None:
    log = log_of(tmp_path, now)
    code, said = check(run_tiercli, catalog(tmp_path), log, "--prometheus", counted, "--since", "175m")
    assert code == 0
    assert said["completeness"]["unknown_s"] == pytest.approx(20 * 60, abs=2 * BUCKET_S)


def test_records_that_are_not_kept_are_exit_1_unless_there_were_none(
    run_tiercli: Run, now: float, tmp_path: Path
) -> None:
    log = log_of(tmp_path, now)
    demanding = catalog(tmp_path, live="1h", cost="400d", compliance="7y")
    code, said = check(run_tiercli, demanding, log)
    assert code == 1
    assert [(one["purpose"], one["holds"]) for one in said["retention"]] == [
        ("live", True),
        ("cost", False),
        ("compliance", False),
    ]
    began = datetime.fromtimestamp(now - 7200, UTC).isoformat()
    code, said = check(run_tiercli, demanding, log, "--began", began)
    assert code == 0
    assert {one["holds"] for one in said["retention"]} == {True}


def test_a_prometheus_that_is_not_there_is_no_verdict(run_tiercli: Run, now: float, tmp_path: Path) -> None:
    log = log_of(tmp_path, now, hours=0.1)
    done = run_tiercli("audit", "check", str(HYBRID), str(log), "--prometheus", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    done = run_tiercli("audit", "check", str(HYBRID), str(log), "--since", "2m")
    assert done.returncode == 2


def test_a_few_calls_more_or_fewer_are_no_gap() -> None:
    quiet = [
        Bucket(300.0 * number, records, counted)
        for number, (records, counted) in enumerate([(0, 2.0), (1, 0.0), (3, 5.0)])
    ]
    verdict = judge_completeness(quiet, 0.99)
    assert verdict.complete
    assert judge_completeness([Bucket(300, 980, 1000)], 0.99).complete is False
    assert judge_completeness([Bucket(300, 0, None)], 0.99).share is None


@pytest.mark.parametrize(
    ("records", "counted", "excessive"),
    [(1000, 1000, False), (1005, 1000, False), (1006, 1000, True), (14, 10, False), (10_049, 10_000, False)],
)
def test_the_log_may_have_as_many_records_as_there_were_calls(records: int, counted: float, excessive: bool) -> None:
    assert judge_completeness([Bucket(300, records, counted)], 0.99).excessive is excessive


def test_an_empty_log_keeps_nothing() -> None:
    [kept] = judge_retention({"live": 60}, None, 1000)
    assert (kept.holds, kept.kept_s) == (False, 0)
