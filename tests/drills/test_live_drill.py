"""Whole drills in an environment that is reached by its URLs alone: what they prove, what leaves them unproven, what they leave.

`make test-drills` runs all of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.clients.grafana_fake import TOKEN, fake_grafana
from tests.drills.live_stand import Stand, live_stand
from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.drills.record.events import FaultApplied, PhaseStarted, RunStarted, SpendBound, Timeline
from tiercli.drills.record.result import Outcome
from tiercli.drills.record.timeline_file import load_timeline
from tiercli.drills.sites.live_lock import LOCK_ALERT
from tiercli.faults.proxy.client import FaultControl
from tiercli.sandbox.stack.binaries import StackBinaries

pytestmark = [pytest.mark.stack, pytest.mark.drill]

# For runs whose outcome is known before anything could resolve.
BRIEF = {"steady": "1m", "fault": "3m", "recovery": "30s"}
KEY = "sk-not-for-anybodys-eyes"


def command(stand: Stand, *arguments: str) -> list[str]:
    run = [sys.executable, "-m", "tiercli", "drill", "run", "short-outage", "--drills", str(stand.drills)]
    run += ["--catalog", str(stand.catalog), "--env", "staging", "--runs", str(stand.catalog.parent / "runs")]
    return [*run, "--format", "json", *arguments]


def run_drill(stand: Stand, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = subprocess.run(command(stand, *arguments), capture_output=True, text=True, timeout=240, check=False)
    return done, json.loads(done.stdout) if done.stdout else {}


@contextmanager
def drill_under_way(stand: Stand, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(stand, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(happened: Callable[[], bool], within_s: float = 60) -> None:
    """Wait for what must happen; the bound is only against waiting for ever."""
    end = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def timeline_of(stand: Stand) -> Timeline:
    [folder] = (stand.catalog.parent / "runs").glob("*-short-outage")
    return load_timeline(folder / "timeline.jsonl")


def is_on(stand: Stand) -> bool:
    async def ask() -> bool:
        async with FaultControl(stand.sandbox.plan.proxy.control_url, stand.sandbox.token) as control:
            return bool(await control.active())

    return asyncio.run(ask())


def is_locked(stand: Stand) -> bool:
    matchers = {"alertname": LOCK_ALERT, "estate": "content-company", "env": "production"}

    async def ask() -> bool:
        async with AlertmanagerClient(stand.sandbox.addresses.alertmanager_url) as client:
            return bool(await client.silences(matchers))

    return asyncio.run(ask())


@contextmanager
def slack(status: int) -> Iterator[str]:
    """Somebody else's Slack: it answers `status`, and tells nobody of us. Its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def by_alertmanagers_word(environment: dict[str, Any], catalog: dict[str, Any]) -> None:
    """No webhook of ours; the catalog's receivers are what the stand's Alertmanager really has."""
    del environment["webhook"]
    for name, receiver in catalog["receivers"].items():
        if receiver:
            catalog["receivers"][name] = {"webhook": {"url": f"http://127.0.0.1:1/{name}"}}
    catalog["receivers"]["platform-pager"] = {"slack": {"api_url_file": "/secrets/slack", "channel": "#pages"}}


def test_a_live_drill_proves_the_alarm_and_leaves_the_environment_as_it_was(
    stack: StackBinaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_KEY", KEY)
    monkeypatch.setenv("GRAFANA", TOKEN)
    with fake_grafana() as grafana:

        def named(environment: dict[str, Any], catalog: dict[str, Any]) -> None:
            environment["gateway"]["credential"] = {"env": "GATEWAY_KEY"}
            environment["grafana"] = {"url": grafana.url, "credential": {"env": "GRAFANA"}}

        with live_stand(stack, tmp_path, named) as stand:
            done, result = run_drill(stand)
            assert done.returncode == 0, done.stderr
            assert result["outcome"] == "passed"
            run = timeline_of(stand).first(RunStarted)
            assert run is not None
            assert (run.mode, run.told_by, run.factor) == ("live", "webhook", 30)
            spent = timeline_of(stand).first(SpendBound)
            assert spent is not None
            assert 0 < spent.usd < spent.cap_usd == 1000
            assert not is_on(stand)
            assert not is_locked(stand)
        marks = [body["text"] for kind, body in grafana.writes if kind == "annotation"]
    assert marks == [
        "drill short-outage begins",
        "fault outage on provider=anthropic, region=ap-south-1",
        "fault outage off provider=anthropic, region=ap-south-1",
        "drill short-outage is over",
    ]
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert written
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert KEY not in text
        assert TOKEN not in text
        assert stand.sandbox.token not in text


@pytest.mark.slow
def test_a_killed_drill_leaves_no_fault_and_no_lock_and_nobody_else_drills_meanwhile(
    stack: StackBinaries, tmp_path: Path
) -> None:
    long = {"steady": "1m", "fault": "20m", "recovery": "11m"}
    with live_stand(stack, tmp_path, phases=long) as stand, drill_under_way(stand) as process:
        until(lambda: is_on(stand))
        second, _ = run_drill(stand)
        assert second.returncode == 3, second.stderr
        assert "another drill runs in this environment: the drill short-outage is running" in second.stderr
        assert is_on(stand)  # the first goes on
        assert is_locked(stand)
        os.killpg(process.pid, signal.SIGKILL)
        until(lambda: not is_on(stand))
        until(lambda: not is_locked(stand), within_s=90)


@pytest.mark.slow
def test_without_a_gateway_a_drill_goes_through_the_measuring_point(stack: StackBinaries, tmp_path: Path) -> None:
    # Nobody falls back for those who call directly: while the endpoint is gone, all their calls fail.
    with live_stand(stack, tmp_path, measured=True, abort={"error_share": 1}) as stand:
        done, result = run_drill(stand)
    assert done.returncode == 0, (done.stderr, result.get("reasons"))
    assert result["load"]["failed"] > 0
    records = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(records) > result["load"]["started"] / 2


@pytest.mark.slow
def test_by_alertmanagers_own_word_a_drill_passes_where_it_sent(stack: StackBinaries, tmp_path: Path) -> None:
    with slack(200) as url, live_stand(stack, tmp_path, by_alertmanagers_word, slack=url) as stand:
        done, result = run_drill(stand)
    assert done.returncode == 0, done.stderr
    said = {step["name"]: step["said"] for step in result["expectations"][0]["steps"]}
    assert said["reached platform-pager"].startswith("platform-pager notified after")
    assert result["evidence"][-1]["said"] == "Alertmanager passed Watchdog on throughout"


@pytest.mark.slow
def test_by_alertmanagers_own_word_a_drill_fails_where_nothing_could_be_sent(
    stack: StackBinaries, tmp_path: Path
) -> None:
    # 500: Alertmanager tries again, and does not count the notification as failed for minutes.
    with (
        slack(500) as url,
        live_stand(stack, tmp_path, by_alertmanagers_word, slack=url, phases=BRIEF, expect=[brief()]) as stand,
    ):
        done, result = run_drill(stand)
    assert done.returncode == 1, done.stderr
    assert any("no notification reached platform-pager" in reason for reason in result["reasons"]), result["reasons"]


def brief() -> dict[str, Any]:
    """What the short drill expects, without that it resolves."""
    return {
        "alert": "ProviderDown",
        "labels": {"provider": "anthropic", "region": "ap-south-1"},
        "severity": "page",
        "receiver": "platform-pager",
        "firing_within": "3m",
        "notified_within": "4m",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_a_server_that_is_restarted_or_gone_leaves_a_drill_unproven(
    stack: StackBinaries, tmp_path: Path, name: str
) -> None:
    with live_stand(stack, tmp_path) as stand, drill_under_way(stand) as process:
        until(lambda: is_on(stand))
        stand.stop(name)
        if name == "prometheus":
            stand.start(name)  # before anybody would call it lost
        out, err = process.communicate(timeout=120)
        assert process.returncode == 3, err
        result = json.loads(out)
        assert result["outcome"] == Outcome.INCONCLUSIVE.value
        said = (
            "Prometheus was restarted during the run" if name == "prometheus" else "alertmanager failed during the run"
        )
        assert any(said in reason for reason in result["reasons"]), result["reasons"]
        until(lambda: not is_on(stand))


@pytest.mark.slow
def test_scrapes_that_nobody_meant_to_miss_leave_a_drill_unproven(stack: StackBinaries, tmp_path: Path) -> None:
    async def fail_for_a_while() -> None:
        async with FaultControl(stand.sandbox.plan.proxy.control_url, stand.sandbox.token) as control:
            await control.apply("scrape-failure", {"scrape": "gateway"}, lease_s=30)
            await asyncio.sleep(4)

    with live_stand(stack, tmp_path, phases=BRIEF, expect=[brief()]) as stand, drill_under_way(stand) as process:
        until(lambda: is_on(stand))
        asyncio.run(fail_for_a_while())
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    reasons = json.loads(out)["reasons"]
    assert any("did not answer scrapes for" in reason for reason in reasons), reasons


@pytest.mark.slow
def test_a_spend_that_reaches_the_cap_ends_the_drill_and_its_fault(stack: StackBinaries, tmp_path: Path) -> None:
    theirs = tmp_path / "twice.py"
    # Their own users send three times what the drill plans.
    ours = (Path(__file__).parents[2] / "drills" / "locustfile.py").read_text(encoding="utf-8")
    theirs.write_text(
        ours.replace("rate_at(time.monotonic() - self.began)", "3 * rate_at(time.monotonic() - self.began)")
    )
    load = {"arrivals_per_second": 60, "mix": {"aliases": {"smart-reasoner": 1}}, "locustfile": str(theirs)}
    with live_stand(stack, tmp_path, load=load) as stand:
        done, result = run_drill(stand, "--spend-cap", "69.4")
        assert not is_on(stand)
        phases = [event.phase for event in timeline_of(stand).of(PhaseStarted)]
    assert done.returncode == 3, done.stderr
    assert any("the drill may cost 69.40 USD" in reason for reason in result["reasons"]), result["reasons"]
    assert "recovery" in phases or "fault" in phases


@pytest.mark.slow
def test_an_alarm_that_fires_already_is_not_drilled(stack: StackBinaries, tmp_path: Path) -> None:
    with live_stand(stack, tmp_path, phases=BRIEF, expect=[brief()]) as stand:
        first, _ = run_drill(stand)
        assert first.returncode == 0, first.stderr
        done, result = run_drill(
            stand, "--runs", str(tmp_path / "again")
        )  # it takes longer to resolve than that drill waits
    assert done.returncode == 3, done.stderr
    assert any("ProviderDown is pending or firing before" in reason for reason in result["reasons"]), result["reasons"]
    [folder] = (tmp_path / "again").glob("*-short-outage")
    assert not list(load_timeline(folder / "timeline.jsonl").of(FaultApplied))
