"""A real Prometheus that scrapes the measuring point, and what the catalog's rules record of it; and the audit log's readers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import uvloop
import yaml
from measured_stand import CLAUDE, GPT, catalog_with
from prometheus_client.parser import text_string_to_metric_families
from proxy_process import TOKEN, ProxyProcess, proxy_process
from upstreams import fake_anthropic, simulated

from tests.clients.live_servers import running
from tests.conftest import Done
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.faults.proxy.client import FaultControl
from tiercli.rules.deployment import Deployment
from tiercli.rules.prometheus_config import scrape_jobs
from tiercli.rules.recording import build_records
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.bindings import known_binding
from tiercli.signals.exposed import exposed_by
from tiercli.signals.rule import RuleGroup, rule_file_content
from tiercli.signals.timing import Timing

pytestmark = pytest.mark.stack
TIMING = Timing(factor=60)
Run = Callable[..., Done]
GPT_HERE = {"provider": "openai", "model": "gpt-5-mini", "region": "ap-south-1"}
CLAUDE_HERE = {"provider": "anthropic", "model": "claude-sonnet-4-6", "region": "ap-south-1"}
# What a measuring point must be able to say: series, and labels of one that must be there.
RECORDED: tuple[tuple[str, dict[str, str]], ...] = (
    ("tier:provider:requests:rate5m", {**GPT_HERE, "status": "success"}),
    ("tier:provider:requests:rate5m", {**GPT_HERE, "status": "failure"}),
    ("tier:provider:requests:rate5m", {**CLAUDE_HERE, "status": "success"}),
    ("tier:provider:errors:rate5m", {**GPT_HERE, "code": "RATE_LIMITED"}),
    ("tier:provider:latency_seconds:p95_5m", GPT_HERE),
    ("tier:provider:latency_seconds:p95_5m", CLAUDE_HERE),
    ("tier:provider:ttft_seconds:p95_5m", GPT_HERE),
    ("tier:provider:ttft_seconds:p95_5m", CLAUDE_HERE),
    ("tier:provider:tokens:rate5m", {**GPT_HERE, "direction": "output"}),
    ("tier:provider:tokens:rate5m", {**CLAUDE_HERE, "direction": "cache_read"}),
    ("tier:provider:within_sla:rate5m", GPT_HERE),
    ("tier:alias:requests:rate5m", {"alias": "chat", **GPT_HERE, "fallback_step": "0"}),
    ("tier:alias:latency_seconds:p95_5m", {"alias": "chat"}),
    ("tier:alias:response_tokens:p95_5m", {"alias": "smart-reasoner"}),
    ("tier:alias:cost_usd:rate5m", {"alias": "chat"}),
    ("tier:tenant:calls:rate5m", {"tenant": "globex-media", "region": "ap-south-1", "status": "success"}),
    ("tier:tenant:tokens:rate5m", {"tenant": "globex-media", "direction": "input"}),
    ("tier:feature:cost_usd:rate5m", {"tenant": "globex-media", "feature": "summary"}),
    ("tier:gateway:healthy_instances:count", {}),
    ("tier:gateway:calls:increase5m", {}),
    ("tier:gateway:audit_records:increase5m", {}),
    ("tier:gateway:audit_bytes:increase5m", {}),
    ("tier:gateway:price_book:info", {"version": "2026-11-01"}),
)


def config_of(loaded: LoadedCatalog, folder: Path) -> None:
    """The configuration of a Prometheus that scrapes and records as generated, sixty times faster."""
    groups = [RuleGroup(name, tuple(records)) for name, records in build_records(loaded, TIMING, ()).items()]
    (folder / "rules.yml").write_text(yaml.safe_dump(rule_file_content(groups)))
    jobs = [
        job
        for job in scrape_jobs(loaded.catalog, Deployment.production(loaded.catalog))
        if "gateway" in job["job_name"]
    ]
    every = {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"}
    jobs = [{**job, **{key: every[key] for key in ("scrape_interval", "scrape_timeout")}} for job in jobs]
    config = {"global": every, "rule_files": ["rules.yml"], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))


async def call_on_and_on(proxy: ProxyProcess) -> None:
    """Calls of both endpoints, every second one streamed, ten a second and more."""
    gpt, claude = (one["url"] for one in proxy.said["endpoints"])
    headers = {"x-tenant": "globex-media", "x-feature": "summary"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=20) as client:
        while True:
            for stream in (False, True):
                body = {"messages": [{"role": "user", "content": "hello"}], "stream": stream, "max_tokens": 20}
                await client.post(f"{gpt}/v1/chat/completions", json={**body, "model": "gpt-5-mini"})
                await client.post(f"{claude}/v1/messages", json={**body, "model": "claude-sonnet-4-6"})


async def missing(prometheus: PrometheusClient) -> list[tuple[str, dict[str, str]]]:
    """What of RECORDED is not there, or nothing."""
    there = {name: await prometheus.query(name) for name in {name for name, _ in RECORDED}}
    return [
        (name, labels)
        for name, labels in RECORDED
        if not any(labels.items() <= one.labels.items() and one.value > 0 for one in there[name])
    ]


def test_the_series_of_its_binding_exist_for_what_passed(
    hybrid: LoadedCatalog, stack: StackBinaries, tmp_path: Path, start_tiercli: Run
) -> None:
    ports = PortAllocator()
    metrics, address = (f"127.0.0.1:{ports()}" for _ in range(2))

    async def check() -> str:
        async with simulated(hybrid.catalog, tmp_path) as urls, fake_anthropic() as (claude, _):
            catalog_with(GPT | {"url": urls["openai/ap-south-1"]}, CLAUDE | {"url": claude}, folder=tmp_path)
            path = tmp_path / "catalog.yaml"
            data = yaml.safe_load(path.read_text())
            data["gateway"] |= {"binding": "proxy", "targets": [metrics]}
            path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
            config_of(load_catalog(path), tmp_path)
            command = [str(stack.prometheus.path), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
            with (
                proxy_process(tmp_path, "--metrics", metrics) as proxy,
                running([*command, f"--web.listen-address={address}"], tmp_path, f"http://{address}/-/ready"),
            ):
                calling = asyncio.ensure_future(call_on_and_on(proxy))
                async with (
                    PrometheusClient(f"http://{address}") as prometheus,
                    FaultControl(proxy.control, TOKEN) as control,
                ):
                    await control.apply("throttle", {"provider": "openai"}, {"share": 0.3}, lease_s=120)
                    left = list(RECORDED)
                    for _ in range(200):
                        assert not calling.done(), calling.exception()
                        if not (left := await missing(prometheus)):
                            break
                        await asyncio.sleep(0.3)
                    assert left == []
                calling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await calling
                return await settled(metrics)

    with ports:
        exposed = uvloop.run(check())
    families = {family.name: family for family in text_string_to_metric_families(exposed)}
    named = {metric.name.removesuffix("_total") for metric in exposed_by(known_binding("proxy"))}
    assert named <= families.keys()
    # What it does not measure has no sample, and its binding does not read it.
    assert not [name for name, family in families.items() if family.samples and name not in named]
    log, path = str(tmp_path / "audit.jsonl"), str(tmp_path / "catalog.yaml")

    counted = start_tiercli("exporter", "audit", log, "--catalog", path)
    assert counted.returncode == 0, counted.stderr
    own = samples(exposed)
    # Only the proxy itself knows how it is.
    assert own.pop(("ai_gateway_up", ())) == 1
    assert samples(counted.stdout) == own

    reported = start_tiercli("audit", "report", "--by", "tenant,feature,alias", "--format", "json", log)
    rows = json.loads(reported.stdout)["rows"]
    assert {(row["tenant"], row["feature"]) for row in rows} == {("globex-media", "summary")}
    assert {row["alias"] for row in rows} >= {"chat", "smart-reasoner"}

    data = yaml.safe_load(Path(path).read_text())
    data["audit"] = {"retention": {"live": "1s"}}
    Path(path).write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    checked = start_tiercli("audit", "check", path, log)
    assert checked.returncode == 0, checked.stderr


async def settled(metrics: str) -> str:
    """The exposition, once nothing more is counted."""
    async with httpx.AsyncClient(trust_env=False) as client:
        before, text = "", (await client.get(f"http://{metrics}/metrics")).text
        while samples(text) != samples(before):
            before, text = text, (await client.get(f"http://{metrics}/metrics")).text
            await asyncio.sleep(0.5)
    return text


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The contract's samples of an exposition."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): pytest.approx(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("ai_gateway_")
    }
