"""Which of several sources provides a signal: the gateway what it has, the audit log what the gateway lacks, and what the catalog
says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from scraping import EXPOSITIONS, Found, exposing, near, recorded

from tests.conftest import HYBRID, Done
from tiercli.catalog.loading import load_catalog
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.sandbox.stack.binaries import StackBinaries

Run = Callable[..., Done]
LITELLM_VLLM = HYBRID.with_name("litellm-vllm.yaml")
OF_THE_LOG = {"ZoneViolation", "AuditEmissionStopped", "AuditEmissionLow", "PostconditionViolations"}
CLAUDE = {"provider": "anthropic", "model": "claude-sonnet-4-6", "region": "ap-south-1"}
REFUSALS = "tier:alias:refusals:rate5m"
RECORDS, CALLS = "tier:gateway:audit_records:increase5m", "tier:gateway:calls:increase5m"
VIOLATIONS = "tier:tenant:zone_violations:increase5m"


def changed_file(folder: Path, sources: dict[str, Any], **gateway: Any) -> Path:
    """The catalog of LiteLLM and vLLM with other sources, as a file."""
    data = yaml.safe_load(LITELLM_VLLM.read_text(encoding="utf-8"))
    data["sources"], data["gateway"] = sources, data["gateway"] | gateway
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


def audit(*signals: str, target: str = "log.internal:9108") -> dict[str, Any]:
    return {"binding": "audit", "targets": [target], **({"signals": list(signals)} if signals else {})}


def given(run_tiercli: Run, path: Path) -> dict[str, list[str]]:
    """What each source provides, as `tiercli sources --catalog` says."""
    done = run_tiercli("sources", "--catalog", str(path), "--format", "json")
    assert done.returncode == 0, done.stderr
    return {one["name"]: one["signals"] for one in json.loads(done.stdout)["sources"]}


def test_a_log_beside_a_gateway_gives_back_the_alarms_that_its_metrics_cannot_feed(tmp_path: Path) -> None:
    for sources, back in (({}, set()), ({"audit": audit()}, OF_THE_LOG)):
        loaded = load_catalog(changed_file(tmp_path, sources))
        alarms = load_alarm_set(loaded, timing_of(loaded.catalog))
        assert {alarm.alarm for alarm in alarms.alarms} & OF_THE_LOG == back
        assert set(alarms.left_out) & OF_THE_LOG == OF_THE_LOG - back


def test_the_gateway_gives_what_it_has_and_the_log_only_the_rest(tmp_path: Path, run_tiercli: Run) -> None:
    path = changed_file(tmp_path, {"first": audit(), "second": audit()})
    found = given(run_tiercli, path)
    assert {CALLS, "tier:provider:requests:rate5m", "tier:tenant:cost_usd:rate5m"} <= set(found["gateway"])
    assert {RECORDS, VIOLATIONS, "tier:alias:refusals:rate5m"} <= set(found["first"])
    assert not set(found["gateway"]) & set(found["first"])
    assert found["second"] == []
    text = run_tiercli("sources", "--catalog", str(path)).stdout
    assert re.search(rf"{CALLS} +gateway", text)
    assert re.search(rf"{RECORDS} +first", text)


def test_the_catalog_says_what_a_source_is_used_for(tmp_path: Path, run_tiercli: Run) -> None:
    sources = {"first": audit("tier:tenant:zone_violations", REFUSALS), "second": audit()}
    path = changed_file(tmp_path, sources)
    found = given(run_tiercli, path)
    assert found["first"] == [REFUSALS, "tier:tenant:zone_violations:increase1d", VIOLATIONS]
    assert REFUSALS not in found["gateway"]
    assert RECORDS in found["second"]
    # What nobody is used for is unbound, and the reason says so.
    done = run_tiercli(
        "sources", "--catalog", str(changed_file(tmp_path, {"log": audit(REFUSALS)})), "--format", "json"
    )
    assert "audit: the catalog uses it for other signals only" in json.loads(done.stdout)["unbound"][RECORDS]


def test_a_signal_that_is_named_for_two_sources_is_an_error_at_both_places(tmp_path: Path, run_tiercli: Run) -> None:
    sources = {"first": audit(RECORDS), "second": audit("tier:tenant", "tier:gateway:")}
    path = changed_file(tmp_path, sources, signals=["tier:tenant:calls"])
    done = run_tiercli("catalog", "validate", str(path))
    assert done.returncode == 2
    lines = path.read_text(encoding="utf-8").splitlines()
    said = " ".join((done.stdout + done.stderr).split())
    for entry, named in (
        (f"- {RECORDS}", f"{RECORDS} is named for 'first' and for 'second'"),
        ("- 'tier:gateway:'", f"{RECORDS} is named for 'second' and for 'first'"),
        ("- tier:tenant:calls", "tier:tenant:calls:rate5m and 2 more are named for 'gateway' and for 'second'"),
        ("- tier:tenant", "tier:tenant:calls:rate5m and 2 more are named for 'second' and for 'gateway'"),
    ):
        (line,) = [number for number, text in enumerate(lines, 1) if text.strip() == entry]
        assert re.search(rf"catalog\.yaml:{line}:\d+: (error: )?{re.escape(named)}", said), said


def test_names_that_fit_no_signal_of_the_source_are_all_told(tmp_path: Path, run_tiercli: Run) -> None:
    wrong = audit("tier:gateway:audit_record", "tier:gateway:healthy_instances", "tier:gpu")
    done = run_tiercli("catalog", "validate", str(changed_file(tmp_path, {"log": wrong})))
    assert done.returncode == 2
    said = " ".join((done.stdout + done.stderr).split())
    assert "unknown signal 'tier:gateway:audit_record'" in said
    assert "audit does not provide 'tier:gateway:healthy_instances': a log of calls does not say" in said
    assert "audit does not provide 'tier:gpu'" in said


def call(**more: Any) -> str:
    used = {"provider": "anthropic", "model_version": "claude-sonnet-4-6", "region": "ap-south-1"}
    record = {"at": time.time(), "tenant": "acme-corp", "model_alias": "chat", "model_used": used, "status": "success"}
    return json.dumps(record | more) + "\n"


@contextmanager
def followed(log: Path, catalog: Path) -> Iterator[str]:
    """host:port of `tiercli exporter audit --follow`."""
    command = [sys.executable, "-m", "tiercli", "exporter", "audit", "--follow", str(log), "--catalog", str(catalog)]
    with subprocess.Popen([*command, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://(127\.0\.0\.1:\d+)/metrics", process.stderr.readline())
            assert found
            yield found[1]
        finally:
            process.kill()


@pytest.mark.stack
def test_prometheus_compares_the_calls_of_the_gateway_with_the_records_of_the_log(
    stack: StackBinaries, tmp_path: Path
) -> None:
    log, catalog = tmp_path / "audit.jsonl", tmp_path / "catalog.yaml"
    log.touch()
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    zone = data["zones"][data["tenants"]["acme-corp"]["zone"]]["regions"]
    abroad = next(
        {"provider": name, "region": region}
        for name, one in data["providers"].items()
        for region in one["regions"]
        if region not in zone
    )
    # LiteLLM counts ten calls and more a second; the log has a few, two of them abroad and one of the wrong shape.
    with exposing((EXPOSITIONS / "litellm.txt").read_text()) as gateway:
        data |= {
            "gateway": {"binding": "litellm", "targets": [gateway], "deployments": {"fast-eu": CLAUDE}},
            "alarms": {},
        }
        data["sources"] = {"log": audit()}
        catalog.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
        with followed(log, catalog) as address:
            data["sources"]["log"]["targets"] = [address]
            catalog.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
            tried = {"provider": CLAUDE["provider"], "model_version": CLAUDE["model"], "region": CLAUDE["region"]}
            failed = {"considered": [tried | {"result": "POSTCONDITION_FAILED", "latency_s": 1}]}
            elsewhere = {"model_used": abroad | {"model_version": "x"}}
            written = [call(), call(**elsewhere), call(**elsewhere)]
            written.append(call(status="failure", route_resolution=failed, model_used=None))
            # Once the window of the gateway's calls is full: events are in a window for so long, and no longer.
            writing = threading.Timer(8, log.write_text, ["".join(written)], {"encoding": "utf-8"})
            writing.start()
            expected: Found = {
                CALLS: {(): 11 * 5},
                VIOLATIONS: {("acme-corp", abroad["region"]): 2},
                "tier:provider:postcondition_violations:increase5m": {("chat", CLAUDE["provider"], CLAUDE["model"]): 1},
            }
            labels = ("alias", "tenant", "provider", "model", "region")
            found = recorded(load_catalog(catalog), stack.prometheus.path, tmp_path, expected, labels)
            writing.join()
    assert near(found, expected), found
