"""A real gateway for tests, before real HTTP servers that answer as the test says, endpoint by endpoint."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from tiercli.audit.audit_log import AuditLog
from tiercli.catalog.model import Catalog
from tiercli.resources import resource_folder
from tiercli.sandbox.gateway.process import Gateway
from tiercli.sandbox.plan import EstatePlan, plan_estate
from tiercli.serving import listen

DONE = b"data: [DONE]\n\n"
# An endpoint's answer: a status, a body, "silence", "hang up", or the parts of a stream (bytes; seconds or an event to
# wait for; "silence", "hang up", "end"). None: a plain completion, streamed where the call asks for it.
Answer = int | bytes | str | Sequence[Any] | None


def completion(text: str, finish_reason: str = "stop", usage: tuple[int, int] = (11, 5)) -> bytes:
    """A chat completion's body."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": _usage(usage)}).encode()


def chunk(text: str = "", usage: tuple[int, int] | None = None) -> bytes:
    """One event of a stream: text, or usage."""
    data: dict[str, Any] = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
    if usage is not None:
        data |= {"choices": [], "usage": _usage(usage)}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _usage(usage: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}


class GatewayStand:
    """The gateway's URL, what its endpoints shall answer, and what they were asked."""

    def __init__(self, plan: EstatePlan, client: aiohttp.ClientSession) -> None:
        self.plan, self.client = plan, client
        self.audit_log: AuditLog
        self.url = ""
        self.answers: dict[str, Answer] = {endpoint.key: None for endpoint in plan.endpoints}
        self.asked: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.served_region: str | None = None
        self.runners: dict[str, web.AppRunner] = {}
        self.over = asyncio.Event()

    async def complete(self, alias: str, headers: Mapping[str, str], **more: Any) -> tuple[int, dict[str, Any]]:
        """Call an alias: status and body."""
        async with self._call(alias, headers, more) as answer:
            return answer.status, await answer.json()

    def stream(
        self, alias: str, headers: Mapping[str, str], **more: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Call an alias with stream: true."""
        return self._call(alias, headers, {"stream": True, **more})

    def _call(
        self, alias: str, headers: Mapping[str, str], more: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        body = {"model": alias, "messages": [{"role": "user", "content": "a secret prompt"}], **more}
        return self.client.post(f"{self.url}/v1/chat/completions", json=body, headers=headers)

    async def stop(self, endpoint: str) -> None:
        """Let an endpoint refuse connections."""
        await self.runners[endpoint].cleanup()

    def audit(self) -> list[dict[str, Any]]:
        """The audit log's records."""
        lines = self.plan.gateways[0].audit_log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    async def exposition(self) -> str:
        """The text of /metrics."""
        async with self.client.get(f"{self.url}/metrics") as answer:
            assert answer.status == 200
            return await answer.text()

    async def samples(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """The samples of a metric whose labels include `labels`."""
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(await self.exposition())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    async def value(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples; fails where there is none."""
        found = await self.samples(name, **labels)
        assert found, f"no sample of {name} with {labels}"
        return sum(value for _, value in found)

    async def serve(self, key: str, request: web.Request) -> web.StreamResponse:
        """What an endpoint answers."""
        self.asked.append(key)
        self.bodies.append(await request.json())
        self.authorizations.append(request.headers.get("Authorization", ""))
        answer = self.answers[key]
        headers = {} if self.served_region is None else {"x-served-region": self.served_region}
        if answer is None:
            text = f"from {key}"
            answer = [chunk(text), chunk(usage=(11, 5)), DONE] if self.bodies[-1].get("stream") else completion(text)
        if isinstance(answer, int):
            elsewhere = {"Location": "/elsewhere"} if 300 <= answer < 400 else {}
            return web.json_response({"error": {"message": "as the test says"}}, status=answer, headers=elsewhere)
        if isinstance(answer, bytes):
            return web.Response(body=answer, content_type="application/json", headers=headers)
        response = web.StreamResponse(headers={**headers, "Content-Type": "text/event-stream"})
        for part in [answer] if isinstance(answer, str) else answer:
            if part == "end":
                break
            if part == "silence":
                await self.over.wait()
                return response
            if part == "hang up":
                assert request.transport is not None
                request.transport.abort()
                return response
            if isinstance(part, bytes):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(part)
            else:
                await (part.wait() if isinstance(part, asyncio.Event) else asyncio.sleep(part))
        return response


@asynccontextmanager
async def gateway_stand(
    *,
    own_zone: tuple[str, ...] | None = None,
    own_name: str = "globex-media",
    gpu_price: bool = True,
    gateway: Mapping[str, Any] = MappingProxyType({}),
    audit: Mapping[str, Any] = MappingProxyType({}),
    **changes: Any,
) -> AsyncIterator[GatewayStand]:
    """The example estate. `own_zone` and `own_name` are given to the tenant globex-media, `changes` to the plan. `gpu_price`:
    whether GPU hours have a price. `gateway`, `audit`: what its catalog says of them besides."""
    data = yaml.safe_load((resource_folder("catalogs") / "hybrid.yaml").read_text(encoding="utf-8"))
    data["gateway"] |= gateway
    data["audit"] |= audit
    tenant = data["tenants"].pop("globex-media")
    if own_zone is not None:
        data["zones"]["own"] = {"regions": list(own_zone)}
        tenant["zone"] = "own"
    data["tenants"][own_name] = tenant
    if not gpu_price:
        del data["price_book"]["gpu_usd_per_hour"]
    with tempfile.TemporaryDirectory() as folder:
        unused = itertools.count(1)
        plan = plan_estate(
            Catalog.model_validate(data),
            folder=Path(folder),
            allocate=lambda: next(unused),
            token_file=Path(folder) / "token",
        )
        async with aiohttp.ClientSession() as client:
            stand = GatewayStand(plan, client)
            try:
                yield await _raise(stand, changes)
            finally:
                stand.over.set()
                stand.audit_log.close()
                for runner in stand.runners.values():
                    await runner.cleanup()


async def _raise(stand: GatewayStand, changes: Mapping[str, Any]) -> GatewayStand:
    endpoints = []
    for endpoint in stand.plan.endpoints:
        application = web.Application()
        application.router.add_post("/v1/chat/completions", _handler(stand, endpoint.key))
        runner = stand.runners[endpoint.key] = await listen(application, 0)
        endpoints.append(dataclasses.replace(endpoint, proxy_port=runner.addresses[0][1]))
    stand.plan = dataclasses.replace(stand.plan, endpoints=tuple(endpoints), **changes)
    stand.audit_log = AuditLog(stand.plan.gateways[0].audit_log)
    runner = stand.runners["gateway"] = await listen(Gateway(stand.plan, stand.audit_log).application(), 0)
    stand.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return stand


def _handler(stand: GatewayStand, key: str) -> Any:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await stand.serve(key, request)

    return handle
