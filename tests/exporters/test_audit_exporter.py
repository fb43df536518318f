"""The audit exporter: every record once, over rotation, truncation, partial lines, rubbish, restarts and SIGKILL."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.audit.records import call, lines, write_log
from tests.conftest import HYBRID, Done
from tiercli.audit.record import record_decoder
from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import BackendError, InvalidInput
from tiercli.exporters.audit_exporter import AuditExporter
from tiercli.sandbox.stack.binaries import StackBinaries

RECORDS = "ai_gateway_audit_records_total"
Open = Callable[..., AuditExporter]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
def open_exporter(hybrid: LoadedCatalog, log: Path) -> Iterator[Open]:
    """An exporter of the log, closed when the test is over."""
    opened = []

    def make(**more: object) -> AuditExporter:
        opened.append(AuditExporter(hybrid.catalog, log, record_decoder(), **more))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def exposed(exporter: AuditExporter) -> dict[str, float]:
    """What a scrape sees: the sum of each sample's values."""
    registry = CollectorRegistry()
    registry.register(exporter)
    return totals(generate_latest(registry).decode())


def totals(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def test_a_line_counts_once_it_is_whole(open_exporter: Open, log: Path) -> None:
    exporter = open_exporter()
    exporter.count_new()  # there is no file yet
    text = lines([call(0), call(1)])
    log.write_text(text[:-20], encoding="utf-8")
    exporter.count_new()
    assert exposed(exporter)[RECORDS] == 1
    with log.open("a", encoding="utf-8") as stream:
        stream.write(text[-20:])
    exporter.count_new()
    assert exposed(exporter)[RECORDS] == 2
    assert exposed(exporter)["ai_gateway_audit_bytes_total"] == log.stat().st_size


def test_lines_that_are_no_record_are_counted_and_passed_over(open_exporter: Open, log: Path) -> None:
    rubbish = [
        b"not json",
        b"[1]",
        b'{"tenant": "acme-corp"}',
        b'{"at": 1, "usage": {"input_tokens": "many"}}',
        b"\xff\xfe",
    ]
    rubbish += [b'{"at": "yesterday", "record": "eval_score", "model_alias": "chat", "score": 1}', b"{" * 100_000]
    log.write_bytes(b"\n".join([*rubbish, b"", json.dumps(call()).encode(), b""]))
    exporter = open_exporter()
    exporter.count_new()
    seen = exposed(exporter)
    assert (seen[RECORDS], seen["tiercli_audit_malformed_lines_total"]) == (1, len(rubbish))


def test_names_that_the_catalog_does_not_have_add_no_series(open_exporter: Open, log: Path) -> None:
    write_log(log, [call(), call(1, tenant="mallory-1", feature="x", model_alias="y"), call(2, tenant="mallory-2")])
    write_log(
        log, [call(3, model_used={"provider": "evil", "model_version": "m", "region": "r"}, status="failure", code="Z")]
    )
    exporter = open_exporter()
    exporter.count_new()
    registry = CollectorRegistry()
    registry.register(exporter)
    text = generate_latest(registry).decode()
    assert not re.search('mallory|evil|"Z"', text)
    assert 'ai_gateway_cost_usd_total{alias="chat",feature="chat",tenant=""} 0.25' in text
    assert 'ai_gateway_errors_total{code="UPSTREAM_UNCLASSIFIED",model="",provider="",region=""} 1.0' in text
    assert totals(text)["tiercli_audit_unknown_names_total"] == 5


def test_an_alias_is_as_slow_as_its_answered_calls_with_all_their_attempts(open_exporter: Open, log: Path) -> None:
    place = {"provider": "openai", "model_version": "gpt-5-mini", "region": "ap-south-1"}
    tried = [{"result": result, **place, "latency_s": 0.5} for result in ("UPSTREAM_ERROR", "answered")]
    calls = [call(latency_s=1.1, route_resolution={"considered": tried}), call(1, latency_s=0.4)]
    refused = call(2, latency_s=0.01, status="failure", code="INVALID_REQUEST", model_used=None)
    write_log(log, [*calls, refused])
    exporter = open_exporter()
    exporter.count_new()
    seen = exposed(exporter)
    assert seen["ai_gateway_alias_request_duration_seconds_count"] == 2
    assert seen["ai_gateway_alias_request_duration_seconds_sum"] == pytest.approx(1.5)


@pytest.mark.parametrize(("result", "counted"), [("answered", 1), ("UPSTREAM_ERROR", 0)])
def test_an_answer_that_the_client_did_not_wait_for_still_left_its_zone(
    open_exporter: Open, log: Path, result: str, counted: int
) -> None:
    place = {"provider": "openai", "model_version": "gpt-5-mini", "region": "ap-south-1"}
    route = {"considered": [{"result": result, **place, "latency_s": 0.5}], "fallbacks": []}
    closed = {"status": "failure", "code": "CLIENT_CLOSED", "model_used": None, "cost_usd": None}
    write_log(log, [call(region="us-east-1", route_resolution=route, **closed)])
    exporter = open_exporter()
    exporter.count_new()
    seen = exposed(exporter)
    assert seen.get("ai_gateway_zone_violations_total", 0) == counted
    assert seen.get("ai_gateway_unpriced_requests_total", 0) == counted
    assert seen.get("ai_gateway_alias_requests_total", 0) == 0


def test_what_was_called_does_not_fail_because_the_client_hung_up(open_exporter: Open, log: Path) -> None:
    closed = {"status": "failure", "code": "CLIENT_CLOSED"}
    write_log(log, [call(usage=None, **closed), call(usage={"output_tokens": 7}, **closed)])
    exporter = open_exporter()
    exporter.count_new()
    registry = CollectorRegistry()
    registry.register(exporter)
    text = generate_latest(registry).decode()
    attempt = 'ai_gateway_requests_total{model="gpt-5-mini",provider="openai",region="ap-south-1",status='
    assert f'{attempt}"success"}} 1.0' in text  # the one that had begun to answer
    assert f'{attempt}"failure"' not in text
    assert "ai_gateway_errors_total{" not in text


def test_what_a_record_makes_up_adds_no_series_and_nothing_ever_falls(open_exporter: Open, log: Path) -> None:
    write_log(log, [call(), call(1, cache_status="made-up-17_hit", fallback_step=4711)])
    exporter = open_exporter()
    exporter.count_new()
    before = exposed(exporter)
    registry = CollectorRegistry()
    registry.register(exporter)
    assert not re.search("made-up|4711", generate_latest(registry).decode())
    usage = {"input_tokens": -5}
    deep = '{"at": 1, "more": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
    write_log(log, [call(2, cost_usd=-1), call(3, usage=usage), call(4, latency_s=-1), call(5, calls=-1)])
    with log.open("a", encoding="utf-8") as stream:
        stream.write(deep)
    exporter.count_new()
    after = exposed(exporter)
    assert after.pop("tiercli_audit_malformed_lines_total") == 5
    before.pop("tiercli_audit_malformed_lines_total")
    assert after == before


def test_a_state_that_is_named_like_a_rotated_log_is_none(open_exporter: Open, log: Path) -> None:
    state = log.with_name("audit.jsonl.state")
    write_log(log, [call(0)])
    exporter = open_exporter(state=state)
    exporter.count_new()
    exposed(exporter)  # writes the state, later than the log
    log.rename(log.with_name("audit.jsonl.1"))
    write_log(log, [call(1)])
    os.utime(state)
    exporter.count_new()
    seen = exposed(exporter)
    assert (seen[RECORDS], seen["tiercli_audit_malformed_lines_total"], seen["tiercli_audit_rotations_total"]) == (
        2,
        0,
        1,
    )


def test_a_rotated_log_is_read_to_its_end_and_then_the_next(open_exporter: Open, log: Path) -> None:
    write_log(log, [call(0)])
    exporter = open_exporter()
    exporter.count_new()
    write_log(log, [call(1)])
    log.rename(log.with_name("audit.jsonl.1"))
    exporter.count_new()  # between the two, there is none of that name
    write_log(log, [call(2), call(3)])
    exporter.count_new()
    seen = exposed(exporter)
    assert (seen[RECORDS], seen["tiercli_audit_rotations_total"], seen["tiercli_audit_lost_files_total"]) == (4, 1, 0)


@pytest.mark.parametrize("more", [0, 5], ids=["shorter", "longer than it was"])
@pytest.mark.parametrize("copied", [True, False], ids=["as copytruncate does", "without a copy"])
def test_a_truncated_log_is_read_from_its_start(open_exporter: Open, log: Path, more: int, copied: bool) -> None:
    write_log(log, [call(0), call(1)])
    exporter = open_exporter()
    exporter.count_new()
    if copied:
        shutil.copy(log, log.with_name("audit.jsonl.1"))
    os.truncate(log, 0)
    write_log(log, [call(10 + number) for number in range(1 + more)])
    exporter.count_new()
    seen = exposed(exporter)
    assert (seen[RECORDS], seen["tiercli_audit_truncations_total"]) == (3 + more, 1)
    assert seen["tiercli_audit_lost_files_total"] == (0 if copied else 1)  # what was in it last is not known


def test_a_restart_goes_on_where_the_last_scrape_was(open_exporter: Open, log: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    write_log(log, [call(number) for number in range(10)])
    write_log(log, [{"at": time.time(), "record": "eval_score", "model_alias": "chat", "score": 0.8}])
    first = open_exporter(state=state)
    first.count_new()
    seen = exposed(first)
    assert seen[RECORDS] == 10
    write_log(log, [call(10)])
    first.count_new()  # counted, and never scraped: then it dies
    # Meanwhile the log is rotated twice.
    log.rename(log.with_name("audit.jsonl.2"))
    write_log(log, [call(11), call(12)])
    log.rename(log.with_name("audit.jsonl.1"))
    write_log(log, [call(13)])
    second = open_exporter(state=state)
    assert exposed(second) == seen  # nothing fell back
    second.count_new()
    after = exposed(second)
    assert after[RECORDS] == 14
    assert after["ai_gateway_cost_usd_total"] == pytest.approx(14 * 0.25)
    assert after["ai_gateway_response_tokens_count"] == 14
    assert after["ai_gateway_eval_score"] == 0.8
    assert after["tiercli_audit_rotations_total"] == 2
    assert after["tiercli_audit_malformed_lines_total"] == 0  # it went on at a line's beginning


@pytest.mark.parametrize(
    ("suffix", "records", "lost"), [(".gz", 3, 0), (".bz2", 3, 0), (".xz", 3, 0), (".zst", 2, 1), (None, 2, 1)]
)
def test_a_log_that_was_compressed_away_is_read_or_told(
    open_exporter: Open, log: Path, tmp_path: Path, suffix: str | None, records: int, lost: int
) -> None:
    state = tmp_path / "state.json"
    write_log(log, [call(0)])
    first = open_exporter(state=state)
    first.count_new()
    exposed(first)
    first.close()
    write_log(log, [call(1)])
    rotated = log.rename(log.with_name("audit.jsonl.1"))
    write_log(log, [call(2)])
    packing = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    if suffix is not None:
        content = packing.get(suffix, zlib.compress)(rotated.read_bytes())
        log.with_name(f"audit.jsonl.1{suffix}").write_bytes(content)
    rotated.unlink()
    second = open_exporter(state=state)
    second.count_new()
    second.count_new()
    seen = exposed(second)
    assert (seen[RECORDS], seen["tiercli_audit_lost_files_total"]) == (records, lost)


def test_a_state_that_cannot_be_written_fails_the_scrape_and_one_that_is_none_is_refused(
    open_exporter: Open, log: Path, tmp_path: Path
) -> None:
    write_log(log, [call()])
    exporter = open_exporter(state=tmp_path / "nowhere" / "state.json")
    exporter.count_new()
    with pytest.raises(BackendError, match=r"nowhere/state\.json cannot be written"):
        exposed(exporter)
    (tmp_path / "nowhere").mkdir()
    assert exposed(exporter)[RECORDS] == 1
    with pytest.raises(InvalidInput, match="is not a state file"):
        open_exporter(state=log)


def test_eval_scores_are_the_mean_of_the_last_hour(open_exporter: Open, log: Path) -> None:
    now = time.time()
    scores = ((now - 7200, 0.1), (now - 60, 0.9), (now, 0.7))
    write_log(log, [{"at": at, "record": "eval_score", "model_alias": "chat", "score": score} for at, score in scores])
    exporter = open_exporter()
    exporter.count_new()
    seen = exposed(exporter)
    assert seen["ai_gateway_eval_score"] == pytest.approx(0.8)
    assert seen[RECORDS] == 0  # a score is no call


@contextmanager
def following(log: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`tiercli exporter audit --follow`, and where it serves."""
    command = [sys.executable, "-m", "tiercli", "exporter", "audit", "--follow", str(log), "--catalog", str(HYBRID)]
    with subprocess.Popen([*command, "--listen", "127.0.0.1:0", *more], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/metrics", said)
            assert found, said + process.stderr.read()
            yield process, found.group()
        finally:
            process.kill()


def scrape(url: str, accept: str = "text/plain") -> str:
    answer = httpx.get(url, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    return answer.text


def wait_for(url: str, records: int) -> dict[str, float]:
    for _ in range(100):
        seen = totals(scrape(url))
        if seen[RECORDS] >= records:
            return seen
        time.sleep(0.1)
    raise AssertionError(f"{seen[RECORDS]} records, not {records}")


def test_a_kill_between_two_scrapes_counts_nothing_twice_and_loses_nothing(log: Path, tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    write_log(log, [call(number) for number in range(50)])
    with following(log, "--state", state, "--from-start") as (process, url):
        assert wait_for(url, 50)[RECORDS] == 50
        write_log(log, [call(number) for number in range(30)])
        time.sleep(0.6)  # it counts them, and nobody asks
        process.send_signal(signal.SIGKILL)
        process.wait()
    write_log(log, [call(number) for number in range(20)])
    with following(log, "--state", state) as (process, url):
        seen = wait_for(url, 100)
        assert seen[RECORDS] == 100
        assert seen["ai_gateway_cost_usd_total"] == pytest.approx(25)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read().endswith("100 records counted\n")


def test_a_loss_is_said(log: Path, tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    write_log(log, [call(number) for number in range(5)])
    with following(log, "--state", state, "--from-start") as (process, url):
        wait_for(url, 5)
        os.truncate(log, 0)
        write_log(log, [call(9)])
        assert wait_for(url, 6)["tiercli_audit_lost_files_total"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert "1 file of the log removed, truncated or compressed" in process.stderr.read()


def test_it_serves_what_promtool_accepts_from_the_end_of_the_log_on(log: Path, stack: StackBinaries) -> None:
    write_log(log, [call(number) for number in range(50)])
    with following(log) as (_, url):
        write_log(log, [call()])
        assert wait_for(url, 1)[RECORDS] == 1  # what was there before is not counted again
        text = scrape(url)
        assert scrape(url, "application/openmetrics-text").endswith("# EOF\n")
        assert httpx.get(url.replace("/metrics", "/etc/passwd")).status_code == 404
    command = [stack.promtool.path, "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--state", "s"), "--state and --from-start need --follow"),
        (("--follow", "--listen", "nowhere"), "'nowhere' is not an address HOST:PORT"),
        (("--follow", "--listen", "127.0.0.1:99999"), "is not an address HOST:PORT"),
    ],
)
def test_flags_that_do_not_go_together_are_exit_2(
    run_tiercli: Callable[..., Done], log: Path, arguments: tuple[str, ...], said: str
) -> None:
    write_log(log, [call()])
    done = run_tiercli("exporter", "audit", str(log), "--catalog", str(HYBRID), *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_whole_log_is_printed(start_tiercli: Callable[..., Done], log: Path) -> None:
    write_log(log, [call(0), call(1)])
    log.write_text(log.read_text(encoding="utf-8") + "rubbish\n", encoding="utf-8")
    done = start_tiercli("exporter", "audit", str(log), "--catalog", str(HYBRID))
    assert done.returncode == 0
    assert totals(done.stdout)[RECORDS] == 2
    assert "1 lines are no audit record; the last: " in done.stderr
    assert start_tiercli("exporter", "audit", "nothing", "--catalog", str(HYBRID)).returncode == 2
