"""What the simulated gateway counts: the contract's metrics and labels, and the same as its audit log."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from gateway_stand import DONE, GatewayStand, chunk, completion, gateway_stand
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tiercli.audit.audit_log import AuditLog, audit_line
from tiercli.audit.record import record_decoder
from tiercli.catalog.loading import load_catalog
from tiercli.catalog.model import Catalog
from tiercli.errors import ExitCode
from tiercli.exporters.audit_exporter import AuditExporter
from tiercli.exporters.audit_tally import COUNTED
from tiercli.resources import resource_folder
from tiercli.sandbox.gateway.limits import Quota
from tiercli.sandbox.plan import plan_estate, write_plan
from tiercli.signals.contract import METRICS_BY_NAME

MUMBAI, VIRGINIA = "anthropic/ap-south-1", "anthropic/us-east-1"
ANYWHERE = {"x-tenant": "globex-media", "x-feature": "drafting"}
IN_REGION = {"x-tenant": "acme-corp", "x-feature": "chat"}

EMITTED = set(METRICS_BY_NAME)
AUDIT_FIELDS = {
    "at", "request_id", "tenant", "credential_id", "caller", "feature", "model_alias", "model_used", "usage", "cost_usd", "price_book_version",
    "cache_status", "fallback_step", "degraded", "primary_failure_reason", "route_resolution", "status", "code",
    "http_status", "latency_s", "region", "refusal", "scope_denied",
}  # fmt: skip


async def _everything(stand: GatewayStand) -> int:
    """Calls of every kind; how many."""
    calls = 0
    for alias, headers in (("smart-reasoner", ANYWHERE), ("chat", IN_REGION), ("summariser", ANYWHERE)):
        for stream in (False, True):
            async with stand.client.post(
                f"{stand.url}/v1/chat/completions",
                json={"model": alias, "messages": [{"role": "user", "content": "a secret prompt"}], "stream": stream},
                headers=headers,
            ) as answer:
                assert answer.status == 200
                await answer.read()
            calls += 1
    for answer in (500, 429, b"malformed", completion("no", finish_reason="content_filter"), 400):
        stand.answers[MUMBAI] = answer
        await stand.complete("smart-reasoner", ANYWHERE)
        calls += 1
    stand.answers[MUMBAI] = [chunk("first"), "hang up"]
    async with stand.stream("smart-reasoner", ANYWHERE) as answer:
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
    stand.answers[MUMBAI] = [chunk("first"), chunk(usage=(3, 2)), DONE]
    stand.served_region = "elsewhere"
    await stand.complete("chat", IN_REGION)
    for alias, headers in (("nothing", ANYWHERE), ("chat", {}), ("smart-reasoner", IN_REGION)):
        await stand.complete(alias, headers)
    return calls + 5


def test_every_series_is_of_the_contract_with_exactly_its_labels_and_type() -> None:
    async def scenario() -> None:
        async with gateway_stand(gpu_price=False) as stand:
            await _everything(stand)
            await stand.complete("chat", IN_REGION, temperature=0)
            seen = set()
            for family in text_string_to_metric_families(await stand.exposition()):
                for sample in family.samples:
                    name = next((m.name for m in METRICS_BY_NAME.values() if sample.name in m.exposed_names), None)
                    assert name is not None, f"{sample.name} is not in the contract"
                    metric = METRICS_BY_NAME[name]
                    assert set(sample.labels) - {"le"} == set(metric.labels), sample
                    assert family.type == metric.type.value
                    if sample.name.endswith("_bucket"):
                        assert sample.labels["le"] == "+Inf" or float(sample.labels["le"]) in metric.buckets
                    seen.add(name)
            assert seen == EMITTED  # and each of them was really set by some call

    asyncio.run(scenario())


def test_counters_and_audit_log_say_the_same() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            calls = await _everything(stand)
            audit = stand.audit()
            assert len(audit) == calls
            assert await stand.value("ai_gateway_audit_records_total") == calls
            assert await stand.value("ai_gateway_audit_bytes_total") == stand.plan.gateways[0].audit_log.stat().st_size
            by_status = Counter((record["tenant"] or "", record["status"]) for record in audit)
            counted: Counter[tuple[str, str]] = Counter()
            for labels, value in await stand.samples("ai_gateway_tenant_requests_total"):
                counted[labels["tenant"], labels["status"]] += int(value)
            assert counted == by_status
            attempts = Counter(
                (item["candidate"], "success" if item["result"] == "answered" else item["result"])
                for record in audit
                for item in record["route_resolution"]["considered"]
                if "endpoint" in item
            )
            outcomes: Counter[tuple[str, str]] = Counter()
            for labels, value in await stand.samples("ai_gateway_requests_total", status="success"):
                outcomes[f"{labels['provider']}/{labels['model']}/{labels['region']}", "success"] += int(value)
            for labels, value in await stand.samples("ai_gateway_errors_total"):
                outcomes[f"{labels['provider']}/{labels['model']}/{labels['region']}", labels["code"]] += int(value)
            assert outcomes == attempts
            assert await stand.value("ai_gateway_request_duration_seconds_count") == sum(attempts.values())
            cost = await stand.value("ai_gateway_cost_usd_total")
            assert cost == pytest.approx(sum(record["cost_usd"] or 0 for record in audit), abs=1e-7)
            steps = Counter(str(record["fallback_step"]) for record in audit if record["status"] == "success")
            by_step: Counter[str] = Counter()
            for labels, value in await stand.samples("ai_gateway_alias_requests_total"):
                by_step[labels["fallback_step"]] += int(value)
            assert by_step == steps

    asyncio.run(scenario())


def test_a_record_has_its_fields_and_neither_prompt_nor_answer() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            await _everything(stand)
            assert {frozenset(record) for record in stand.audit()} == {frozenset(AUDIT_FIELDS)}
            text = stand.plan.gateways[0].audit_log.read_text(encoding="utf-8")
            assert "secret prompt" not in text
            assert "from anthropic" not in text
            assert len({record["request_id"] for record in stand.audit()}) == len(stand.audit())
            assert stat.S_IMODE(stand.plan.gateways[0].audit_log.stat().st_mode) == 0o600
            record = stand.audit()[0]
            assert record["model_used"] == {
                "provider": "anthropic",
                "model_version": "claude-sonnet-4-6",
                "region": "ap-south-1",
            }
            assert record["usage"] == {
                "input_tokens": 11,
                "output_tokens": 5,
                "cache_read_tokens": 0,
                "cache_write_tokens": 0,
            }
            assert record["cost_usd"] == pytest.approx((11 * 3.00 + 5 * 15.00) / 1e6)

    asyncio.run(scenario())


@pytest.mark.parametrize("hidden", [False, True])
def test_a_record_says_by_whom_and_with_which_credential_and_never_the_credential(hidden: bool) -> None:
    async def scenario() -> None:
        async with gateway_stand(audit={"hash_callers": hidden}) as stand:
            key = {"Authorization": "Bearer sk-clients-own"}
            await stand.complete("chat", {**ANYWHERE, **key}, user="ana")
            await stand.complete("chat", {**ANYWHERE, **key, "x-caller": "b%C3%A9la"}, user="ana")
            await stand.complete("chat", {**ANYWHERE}, user=7)
            await stand.complete("no such alias", {**ANYWHERE, **key}, user="ana")
            hashes = {name: hashlib.sha256(name.encode()).hexdigest()[:16] for name in ("ana", "b\u00e9la")}
            ana, bela = hashes.values() if hidden else hashes
            known = hashlib.sha256(b"sk-clients-own").hexdigest()[:16]
            said = [(record["credential_id"], record["caller"]) for record in stand.audit()]
            assert said == [(known, ana), (known, bela), (None, None), (known, ana)]
            assert "clients-own" not in stand.plan.gateways[0].audit_log.read_text(encoding="utf-8")
            assert not any("clients-own" in sent for sent in stand.authorizations)

    asyncio.run(scenario())


def test_cached_tokens_have_their_own_price_and_direction() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            body = json.loads(completion("x", usage=(100, 10)))
            body["usage"]["prompt_tokens_details"] = {"cached_tokens": 80}
            stand.answers[MUMBAI] = json.dumps(body).encode()
            await stand.complete("smart-reasoner", ANYWHERE)
            assert await stand.value("ai_gateway_tokens_total", direction="input") == 20
            assert await stand.value("ai_gateway_tokens_total", direction="cache_read") == 80
            expected = (20 * 3.00 + 80 * 0.30 + 10 * 15.00) / 1e6
            assert await stand.value("ai_gateway_cost_usd_total") == pytest.approx(expected)

    asyncio.run(scenario())


@pytest.mark.parametrize("priced", [True, False], ids=["by GPU hours", "without any price"])
def test_a_local_answer_costs_gpu_time_or_is_counted_as_unpriced(priced: bool) -> None:
    async def scenario() -> None:
        async with gateway_stand(gpu_price=priced) as stand:
            await stand.complete("summariser", ANYWHERE)
            unpriced = await stand.samples("ai_gateway_unpriced_requests_total")
            assert [value for _, value in unpriced] == ([] if priced else [1])
            cost = stand.audit()[0]["cost_usd"]
            assert (cost > 0) if priced else cost is None

    asyncio.run(scenario())


def test_a_record_that_cannot_be_written_is_not_counted_and_the_gateway_is_not_well() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            await stand.complete("chat", IN_REGION)
            full = os.open("/dev/full", os.O_WRONLY)
            own = stand.audit_log._file
            stand.audit_log._file = full  # the disk fills up under the open file
            assert (await stand.complete("chat", IN_REGION))[0] == 200
            assert await stand.value("ai_gateway_audit_records_total") == 1
            assert await stand.value("ai_gateway_tenant_requests_total") == 2
            assert await stand.value("ai_gateway_up") == 0
            async with stand.client.get(f"{stand.url}/health") as answer:
                assert answer.status == 503
            stand.audit_log._file = own
            os.close(full)
            await stand.complete("chat", IN_REGION)
            assert await stand.value("ai_gateway_up") == 1

    asyncio.run(scenario())


def test_an_audit_log_appends_to_what_is_there(tmp_path: Path) -> None:
    for number in range(2):
        log = AuditLog(tmp_path / "audit.jsonl")
        assert log.write([audit_line({"number": number, "text": "two\nlines ☃"})]) == 1
        log.close()
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [0, 1]


def test_a_quota_slides() -> None:
    now = [0.0]
    quota = Quota(2, window_s=10, clock=lambda: now[0])
    assert (quota.take(), quota.fill_ratio(), quota.headroom_ratio()) == (True, 0.5, 0.5)
    now[0] = 5
    assert (quota.take(), quota.take(), quota.fill_ratio()) == (True, False, 1)
    now[0] = 10
    assert (quota.fill_ratio(), quota.take(), quota.take()) == (0.5, True, False)


@pytest.mark.parametrize("module", ["tiercli.sandbox.gateway.process", "tiercli.sandbox.providers.process"])
def test_the_process_serves_its_plan_and_stops_when_told(tmp_path: Path, module: str, catalog: Catalog) -> None:
    plan, ports = _plan_file(tmp_path, catalog)
    process = subprocess.Popen([sys.executable, "-m", module, "--plan", plan], stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 20
        while not _listens(ports[module]):
            assert time.monotonic() < end, "the process does not listen"
            time.sleep(0.05)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        _, said = process.communicate()
    assert said == b""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("module", ["tiercli.sandbox.gateway.process", "tiercli.sandbox.providers.process"])
@pytest.mark.parametrize("broken", ["no plan", "a port that is taken"])
def test_a_process_that_cannot_serve_says_why_in_one_line(
    tmp_path: Path, module: str, broken: str, catalog: Catalog
) -> None:
    plan, ports = _plan_file(tmp_path, catalog)
    with socket.socket() as other:
        if broken == "no plan":
            Path(plan).write_text("{}")
        else:
            other.bind(("127.0.0.1", ports[module]))
            other.listen()
        done = subprocess.run(
            [sys.executable, "-m", module, "--plan", plan], capture_output=True, text=True, timeout=30, check=False
        )
    expected = ExitCode.INVALID_INPUT if broken == "no plan" else ExitCode.ENVIRONMENT_FAILED
    assert done.returncode == expected
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def catalog() -> Catalog:
    """The example catalog."""
    data: Any = yaml.safe_load((resource_folder("catalogs") / "hybrid.yaml").read_text(encoding="utf-8"))
    return Catalog.model_validate(data)


def _plan_file(folder: Path, catalog: Catalog) -> tuple[str, dict[str, int]]:
    def allocate() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    plan = plan_estate(catalog, folder=folder, allocate=allocate, token_file=folder / "token")
    plan = dataclasses.replace(plan, endpoints=plan.endpoints[:1])
    write_plan(plan, folder / "plan.json")
    ports = {
        "tiercli.sandbox.gateway.process": plan.gateways[0].port,
        "tiercli.sandbox.providers.process": plan.endpoints[0].upstream_port,
    }
    return str(folder / "plan.json"), ports


def test_the_audit_exporter_counts_from_the_log_what_the_gateway_counted() -> None:
    catalog = load_catalog(resource_folder("catalogs") / "hybrid.yaml").catalog

    async def scenario() -> None:
        async with gateway_stand(gpu_price=False) as stand:
            await _everything(stand)
            for _ in range(2):  # a miss, and then a hit
                await stand.complete("chat", IN_REGION, temperature=0)
            exporter = AuditExporter(catalog, stand.plan.gateways[0].audit_log, record_decoder())
            exporter.count_new()
            registry = CollectorRegistry()
            registry.register(exporter)
            compared = 0
            from_log, from_gateway = (
                _values(text) for text in (generate_latest(registry).decode(), await stand.exposition())
            )
            for name in COUNTED:
                for sample in METRICS_BY_NAME[name].exposed_names:
                    assert from_log.get(sample) == pytest.approx(from_gateway.get(sample), abs=1e-4), sample
                    compared += len(from_gateway.get(sample, ()))
            assert exporter.malformed == 0
            exporter.close()
            assert compared > 150

    asyncio.run(scenario())


def _values(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Values by sample name and labels. A region that the catalog does not have is none: the log's reader knows names only."""
    values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted((key, "" if value == "elsewhere" else value) for key, value in sample.labels.items()))
            if sample.value:
                values.setdefault(sample.name, {})[labels] = sample.value
    return values
