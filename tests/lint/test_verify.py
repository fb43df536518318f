"""Blind alarms on a real Prometheus: one that sees all, and one for each way to be blind."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.errors import BackendUnreachable
from tiercli.lint.live.blindness import PrometheusState, Visibility, judge_alarms, retention_s
from tiercli.lint.live.inspection import Inspection, inspect_prometheus
from tiercli.output.tree import PROMETHEUS_FILE, RULES_PATH, render_tree
from tiercli.rules.deployment import Deployment, ServerTarget
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.contract import CONTRACT
from tiercli.signals.rule import Rule, read_rules
from tiercli.signals.timing import Timing

# An hour is six seconds, and every rule has been evaluated after ten.
TIMING = Timing(factor=600)
VALUES = {
    "provider": "anthropic", "model": "claude-sonnet-4-6", "region": "ap-south-1", "tenant": "acme-corp", "alias": "chat",
    "feature": "chat", "fallback_step": "0", "from": "a", "to": "b", "kind": "exact", "result": "hit", "server": "vllm-a",
    "reason": "x", "version": "1", "direction": "input", "status": "success", "code": "UPSTREAM_ERROR",
}  # fmt: skip
RARE = ("ai_gateway_zone_violations_total", "ai_gateway_postcondition_violations_total", "ai_gateway_errors_total")
GPUS = ("utilization_ratio", "memory_used_bytes", "memory_total_bytes", "power_watts", "temperature_celsius")


def exposition(without: str = "", tenant: str = "acme-corp") -> str:
    """A line of each metric of the contract but the rare ones, of GPUs and of a server; {n} is the time, in seconds."""
    lines = []
    for metric in CONTRACT:
        if metric.name == without or metric.name in RARE:
            lines.append(f"# TYPE {metric.name} {metric.type.value}")
            continue
        labels = ",".join(f'{key}="{ {**VALUES, "tenant": tenant}[key] }"' for key in metric.labels)
        grows = metric.type != "gauge"
        value = "{n}" if grows else "1"
        if metric.buckets:
            for bound in (*map(str, metric.buckets), "+Inf"):
                lines.append(f'{metric.name}_bucket{{{labels},le="{bound}"}} {value}')
            lines += [f"{metric.name}_sum{{{labels}}} {value}", f"{metric.name}_count{{{labels}}} {value}"]
        else:
            lines.append(f"{metric.name}{{{labels}}} {value}" if labels else f"{metric.name} {value}")
    lines += [f'tiercli_gpu_{name}{{gpu="0",uuid="u",name="x"}} 0.5' for name in GPUS]
    lines += [f'vllm:num_requests_{name}{{model_name="llama-3.3-70b",engine="0"}} 1' for name in ("waiting", "running")]
    return "\n".join(lines) + "\n"


@contextmanager
def exposing(text: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.replace("{n}", f"{time.time() * 10:.1f}").encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def prometheus_with(
    loaded: LoadedCatalog, stack: StackBinaries, folder: Path, text: str, edit: Any = lambda rules: None
) -> Iterator[tuple[str, dict[str, str]]]:
    """A Prometheus of the generated configuration whose every target exposes `text`, and whose rules `edit` has changed: its
    URL, and what was generated."""
    port = free_port()
    with exposing(text) as address:
        deployment = dataclasses.replace(
            Deployment.production(loaded.catalog),
            timing=TIMING,
            gateway_targets=(address,),
            server_targets=(ServerTarget(address, "vllm-a", "vllm", "mumbai-dc"),),
            source_targets=dict.fromkeys(loaded.catalog.sources, (address,)),
            prometheus_target=f"127.0.0.1:{port}",
        )
        tree = render_tree(loaded, deployment)
        rules = yaml.safe_load(tree[RULES_PATH])
        edit(rules)
        config = folder / PROMETHEUS_FILE
        (config.parent / "rules").mkdir(parents=True)
        config.write_text(tree[PROMETHEUS_FILE])
        (folder / RULES_PATH).write_text(yaml.safe_dump(rules))
        command = [stack.prometheus.path, f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=50d"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}", tree
        finally:
            process.terminate()
            process.wait(20)


def look(url: str, loaded: LoadedCatalog, tree: dict[str, str]) -> tuple[Inspection, dict[str, Visibility]]:
    """The state once everything has been evaluated that can be."""
    rules = read_rules(tree[RULES_PATH], "rules")

    async def once() -> Inspection:
        async with PrometheusClient(url) as client:
            return await inspect_prometheus(client, loaded.catalog, rules)

    until, before = time.monotonic() + 40, frozenset[str]()
    while True:
        try:
            inspection = asyncio.run(once())
            if (inspection.state.series == before and len(before) > 60) or time.monotonic() > until:
                return inspection, {alarm.alarm: alarm for alarm in judge_alarms(rules, inspection.state)}
            before = inspection.state.series
        except BackendUnreachable:
            assert time.monotonic() < until
        time.sleep(7)


def test_a_prometheus_that_has_everything_sees_with_every_alarm(
    hybrid: LoadedCatalog, stack: StackBinaries, tmp_path: Path
) -> None:
    with prometheus_with(hybrid, stack, tmp_path, exposition()) as (url, tree):
        inspection, alarms = look(url, hybrid, tree)
    blind = {name: alarm.blind for name, alarm in alarms.items() if alarm.state == "blind"}
    # It is too young for a drift to show: that is what it says.
    assert blind.keys() <= {"Drift"}
    assert alarms["ProviderDown"].state == "sees"
    assert alarms["ZoneViolation"].state == "quiet"
    assert "is exposed" in alarms["ZoneViolation"].quiet[0]
    assert any("without any data" in doubt and "us-east-1" in doubt for doubt in inspection.doubts)


def test_a_metric_that_is_gone_an_edited_rule_and_a_stranger_are_named(
    hybrid: LoadedCatalog, stack: StackBinaries, tmp_path: Path
) -> None:
    def edit(content: dict[str, Any]) -> None:
        for group in content["groups"]:
            for rule in group["rules"]:
                if rule.get("alert") == "CloudErrorRateHigh":
                    rule["for"] = "9m"
            group["rules"] = [rule for rule in group["rules"] if rule.get("alert") != "GatewayReplicaMissing"]

    text = exposition(without="ai_gateway_audit_records_total", tenant="a-stranger")
    with prometheus_with(hybrid, stack, tmp_path, text, edit) as (url, tree):
        inspection, alarms = look(url, hybrid, tree)
    assert "no series of ai_gateway_audit_records_total" in " ".join(alarms["AuditEmissionLow"].blind)
    assert any("has for 540 s, not" in reason or "for 540 s" in reason for reason in alarms["CloudErrorRateHigh"].blind)
    assert "is not loaded" in alarms["GatewayReplicaMissing"].blind
    assert alarms["ProviderDown"].state == "sees"
    assert any("tenant a-stranger has data but is not in the catalog" in doubt for doubt in inspection.doubts)


RULES = [
    Rule("record", "tier:month", "avg_over_time(tier:hour[31d])"),
    Rule("record", "tier:hour", "rate(raw_total[5m])"),
    Rule("alert", "Month", "tier:month > 1"),
    Rule("alert", "Either", "raw_a or raw_b > 1"),
    Rule("alert", "Unless", "raw_a unless raw_b"),
]


@pytest.mark.parametrize(
    ("state", "blind"),
    [
        pytest.param(PrometheusState(frozenset({"tier:month", "raw_a"}), frozenset(), 45 * 86_400), [], id="all is there"),
        pytest.param(PrometheusState(frozenset({"tier:month", "raw_a"}), frozenset(), 40 * 86_400), ["Month"], id="a month is too long"),
        pytest.param(
            PrometheusState(frozenset({"tier:month", "raw_b"}), frozenset(), 45 * 86_400), ["Unless"], id="one side of or is enough"
        ),
        pytest.param(PrometheusState(frozenset({"raw_a"}), frozenset(), 45 * 86_400), ["Month"], id="a record without data"),
        pytest.param(
            PrometheusState(frozenset({"tier:month", "raw_a"}), frozenset(), 45 * 86_400, alertmanagers=0),
            ["Month", "Either", "Unless"],
            id="nobody to tell",
        ),
        pytest.param(
            PrometheusState(frozenset({"tier:month", "raw_a"}), frozenset(), 45 * 86_400, failing={"tier:hour": "many-to-many"}),
            ["Month"],
            id="a record that fails two steps away",
        ),
    ],
)  # fmt: skip
def test_an_alarm_is_blind_when(state: PrometheusState, blind: list[str]) -> None:
    assert [alarm.alarm for alarm in judge_alarms(RULES, state) if alarm.state == "blind"] == blind


@pytest.mark.parametrize(
    ("setting", "seconds"),
    [("15d", 15 * 86_400), ("45d or 10GiB", 45 * 86_400), ("10GiB", 15 * 86_400), ("0s", 15 * 86_400)],
)
def test_reads_what_prometheus_says_of_its_retention(setting: str, seconds: float) -> None:
    assert retention_s(setting) == seconds


def test_a_prometheus_that_does_not_answer_is_no_verdict(run_tiercli: Any) -> None:
    catalog = str(Path(__file__).resolve().parents[2] / "catalogs" / "minimal.yaml")
    done = run_tiercli("verify", catalog, "--prometheus", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "prometheus" in done.stderr
