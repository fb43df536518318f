"""Every query of every panel of every dashboard, asked in a sandbox under load: first when all is well, then while faults
are on that concern what was silent. Slow: make test-panels."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tiercli.catalog.loading import LoadedCatalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import parse_board
from tiercli.dashboards.read.interpolation import fill_any
from tiercli.drills.load.locust import LOCUST, locust_process
from tiercli.drills.load.plan import LoadWay, build_load_plan
from tiercli.drills.run.faults import renewed_leases
from tiercli.drills.run.stopping import StopSignal
from tiercli.drills.sites.estate import Estate, build_estate, start_sandbox
from tiercli.drills.spec.model import Load
from tiercli.faults.proxy.client import FaultControl
from tiercli.rules.recording import canonical_records
from tiercli.sandbox.receiver import WebhookReceiver
from tiercli.sandbox.sandbox import Sandbox
from tiercli.sandbox.stack.binaries import find_stack

pytestmark = [pytest.mark.slow, pytest.mark.stack]

FACTOR = 60
LOAD = Load(arrivals_per_second=60, mix={"aliases": {"smart-reasoner": 6, "chat": 3, "summariser": 2}})
OVERLOAD = Load(arrivals_per_second=40, mix={"aliases": {"summariser": 1}})

# What an estate in which all is well leaves empty: what did not happen, and alerts that do not fire.
QUIET = {
    *((board, "Firing alarms") for board in ("home", "provider", "alias", "tenant", "drift", "local")),
    ("provider", "Unclassified errors"),
    ("alias", "Postcondition violations"),
    ("compliance", "Violations by tenant"),
}


@asynccontextmanager
async def sandbox_under_load(estate: Estate) -> AsyncIterator[tuple[Sandbox, PrometheusClient]]:
    async with AsyncExitStack() as stack:
        catalog = estate.loaded.catalog
        sandbox = await stack.enter_async_context(Sandbox(catalog, find_stack(), estate.timing))
        await stack.enter_async_context(WebhookReceiver(sandbox.addresses.receiver, lambda _: None))
        await start_sandbox(estate, sandbox, load=LOAD)
        await start_load(sandbox, estate, LOAD, LOCUST)
        yield (
            sandbox,
            await stack.enter_async_context(PrometheusClient(sandbox.addresses.prometheus_url)),
        )


async def start_load(sandbox: Sandbox, estate: Estate, load: Load, name: str) -> None:
    plan = build_load_plan(
        load,
        estate.loaded.catalog,
        way=LoadWay(sandbox.plan.gateways[0].url),
        windows_file=sandbox.folder / f"{name}.jsonl",
        factor=FACTOR,
    )
    process = locust_process(plan, sandbox.folder / f"{name}.json", sandbox.folder / f"{name}.log")
    await sandbox.supervisor.start(dataclasses.replace(process, name=name))


async def silent_queries(estate: Estate, client: PrometheusClient) -> dict[tuple[str, str, str], str]:
    """(dashboard, panel, legend) of every query that gives no figure now, and the query."""
    silent = {}
    unbound = canonical_records(estate.loaded, estate.timing).unbound
    for path, text in render_dashboards(estate.loaded.catalog, unbound).items():
        name = path.rsplit("/", 1)[1].removesuffix(".json")
        for panel in parse_board(text, path).panels:
            for target in panel.targets:
                samples = await client.query(fill_any(target.expr))
                if all(math.isnan(sample.value) for sample in samples):
                    silent[name, panel.title, target.legend] = target.expr
    return silent


async def until_spoken(
    estate: Estate, client: PrometheusClient, allowed: set[tuple[str, str]], within_s: float
) -> dict[tuple[str, str, str], str]:
    """Ask until nothing but `allowed` is silent, or for so long; what is silent then."""
    deadline = time.monotonic() + within_s
    while True:
        silent = {key: expr for key, expr in (await silent_queries(estate, client)).items() if key[:2] not in allowed}
        if not silent or time.monotonic() > deadline:
            return silent
        await asyncio.sleep(3)


async def make_trouble(sandbox: Sandbox, control: FaultControl) -> None:
    """Everything that panels tell of, at once."""
    openai: Mapping[str, str] = {"provider": "openai", "region": "ap-south-1"}
    mumbai: Mapping[str, str] = {"provider": "anthropic", "region": "ap-south-1"}
    await control.apply("errors", openai, {"share": 0.3, "status_codes": [418]})  # a status that no gateway knows
    await control.apply("errors", mumbai, {"share": 0.1, "status_codes": [429, 500]})
    await control.apply("malformed", mumbai, {"share": 0.2})
    await control.apply("wrong-region", {"provider": "vllm"}, {"region": "us-east-1"})
    gateway = sandbox.plan.gateways[0].url
    condition = {"fault": "eval-drift", "target": {"alias": "chat"}, "settings": {"score": 0.5}, "lease_s": 600}
    place = f"{gateway}/simulation/faults/panels"
    async with aiohttp.ClientSession() as client, client.put(place, json=condition) as answer:
        assert answer.status == 201


async def ask_for_too_much(gateway: str, stop: asyncio.Event) -> None:
    """A tenant that calls what it may not, again and again."""
    body = {"model": "smart-reasoner", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"x-tenant": "acme-corp", "x-feature": "chat"}
    async with aiohttp.ClientSession() as client:
        while not stop.is_set():
            async with client.post(f"{gateway}/v1/chat/completions", json=body, headers=headers) as answer:
                assert answer.status == 403
            await asyncio.sleep(0.5)


def test_every_query_of_every_panel_answers(changed_hybrid: Any) -> None:
    def small_servers(data: dict[str, Any]) -> None:
        # So few places that one core's load fills the servers.
        data["providers"]["vllm"]["regions"]["mumbai-dc"]["typical"]["concurrency"] = 6

    loaded: LoadedCatalog = changed_hybrid(small_servers)
    estate = build_estate(loaded, FACTOR)

    async def scenario() -> None:
        async with sandbox_under_load(estate) as (sandbox, client):
            silent = await until_spoken(estate, client, QUIET, 60)
            assert silent == {}
            stop, over = StopSignal(), asyncio.Event()
            control = FaultControl(sandbox.plan.proxy.control_url, sandbox.token)
            async with control, renewed_leases(control, stop):
                await make_trouble(sandbox, control)
                await start_load(sandbox, estate, OVERLOAD, "overload")
                asking = asyncio.create_task(ask_for_too_much(sandbox.plan.gateways[0].url, over))
                try:
                    silent = await until_spoken(estate, client, set(), 180)
                finally:
                    over.set()
                    await asking
            assert silent == {}

    asyncio.run(scenario())
