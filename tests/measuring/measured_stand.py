"""A proxy that measures, in this process, before one upstream that answers as the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
import yaml
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import HYBRID
from tiercli.audit.audit_log import AuditLog
from tiercli.audit.record import AuditRecord, record_decoder
from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.faults.proxy.client import FaultControl
from tiercli.faults.proxy.process import FaultProxy
from tiercli.measuring.endpoints import endpoints_of
from tiercli.measuring.measures import Measures

TOKEN = "a-token-of-this-test"
ENVIRONMENT = "staging"
PROMPT = "a secret prompt"
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
CLAUDE = {"provider": "anthropic", "region": "ap-south-1", "wire": "anthropic"}
GPT = {"provider": "openai", "region": "ap-south-1"}
LLAMA = {"provider": "vllm", "region": "mumbai-dc", "server": "vllm-a"}
OFFER = {"provider": "openai", "model": "gpt-5-mini", "region": "ap-south-1"}
ACME = {"x-tenant": "acme-corp", "x-feature": "chat"}


def catalog_with(*endpoints: Mapping[str, Any], folder: Path | None = None) -> LoadedCatalog:
    """The example catalog with an environment that has these endpoints; as a file of `folder` where one is given."""
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    data["environments"] = {ENVIRONMENT: {"endpoints": [dict(one) for one in endpoints]}}
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    path = (folder or Path("/nowhere")) / "catalog.yaml"
    if folder is not None:
        path.write_text(text, encoding="utf-8")
    return parse_catalog(text, str(path))


class MeasuredStand:
    """The proxy's URL, its control, a client, and what was measured."""

    def __init__(
        self, url: str, control: FaultControl, client: aiohttp.ClientSession, measures: Measures, log: Path
    ) -> None:
        self.url, self.control, self.client, self.measures, self.log = url, control, client, measures, log

    async def call(
        self,
        model: str = "gpt-5-mini",
        headers: Mapping[str, str] = ACME,
        path: str = "/v1/chat/completions",
        **more: Any,
    ) -> tuple[int, bytes]:
        """Make a call: the status and the whole body; 0 where the connection broke."""
        body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}
        try:
            async with self.client.post(self.url + path, json=body, headers=headers) as answer:
                return answer.status, await answer.read()
        except aiohttp.ClientError:
            return 0, b""

    async def records(self, count: int = 1) -> list[AuditRecord]:
        """The records of the log, once there are `count` of them."""
        for _ in range(500):
            lines = self.log.read_bytes().splitlines()
            if len(lines) >= count:
                assert len(lines) == count
                return [record_decoder()(line) for line in lines]
            await asyncio.sleep(0.01)
        raise AssertionError(f"{len(lines)} records, not {count}")

    def samples(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The samples of a metric by their labels, those that are 0 left out."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.exposition())
            for sample in family.samples
            if sample.name == name and sample.value
        }

    def value(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have `labels`."""
        return sum(value for key, value in self.samples(name).items() if labels.items() <= dict(key).items())

    def exposition(self) -> str:
        """What a scrape sees."""
        registry = CollectorRegistry()
        registry.register(self.measures)
        return generate_latest(registry).decode()


@asynccontextmanager
async def measured_stand(
    folder: Path, serve: Serve | str, endpoint: Mapping[str, Any] = GPT, log: Path | None = None, **settings: Any
) -> AsyncIterator[MeasuredStand]:
    """The stand before `serve`: a handler, or the URL of something that runs already. `settings`: of Measures."""
    upstream = None
    if not isinstance(serve, str):
        server = web.Server(serve, auto_decompress=False)  # bodies as they were sent
        upstream = web.ServerRunner(server, shutdown_timeout=1)
        await upstream.setup()
        await web.TCPSite(upstream, "127.0.0.1", 0).start()
        serve = f"http://127.0.0.1:{upstream.addresses[0][1]}"
    loaded = catalog_with({"url": serve, **endpoint}, folder=folder)
    ready = endpoints_of(loaded, ENVIRONMENT, measured=True)
    log = log or folder / "audit.jsonl"
    audit = AuditLog(log)
    measures = Measures(loaded.catalog, audit, **settings)
    proxy = FaultProxy(
        [one.route for one in ready],
        control_port=0,
        token=TOKEN,
        passages={one.route.name: one.passage for one in ready},
        observers={one.route.name: measures.observer(one.place, one.wire) for one in ready},
    )
    await proxy.start()
    try:
        async with (
            FaultControl(f"http://127.0.0.1:{proxy.control_port}", TOKEN) as control,
            aiohttp.ClientSession(auto_decompress=True) as client,
        ):
            url = f"http://{next(iter(proxy.addresses.values()))}"
            yield MeasuredStand(url, control, client, measures, log)
    finally:
        await proxy.close()
        await asyncio.sleep(0)
        measures.count_ended()
        audit.close()
        if upstream is not None:
            await upstream.cleanup()


def openai_answer(**changes: Any) -> bytes:
    """A chat completion of 11 prompt tokens, 4 of them cached, and 5 completion tokens."""
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    choice = {"index": 0, "message": {"role": "assistant", "content": "a secret answer"}, "finish_reason": "stop"}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage, **changes}).encode()


def answering(body: bytes, status: int = 200, **headers: str) -> Serve:
    async def serve(_: web.BaseRequest) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, headers={"content-type": "application/json", **named})

    return serve


def streaming(*parts: bytes | float | str) -> Serve:
    """Pieces of a stream; seconds between them; "cut" breaks it off."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            if isinstance(part, float):
                await asyncio.sleep(part)
            elif isinstance(part, bytes):
                await response.write(part)
            else:
                assert request.transport is not None
                request.transport.abort()
        return response

    return serve


def scenario(
    folder: Path,
    serve: Serve | str,
    check: Callable[[MeasuredStand], Any],
    endpoint: Mapping[str, Any] = GPT,
    **settings: Any,
) -> None:
    async def run() -> None:
        async with measured_stand(folder, serve, endpoint, **settings) as stand:
            await check(stand)

    uvloop.run(run())


async def silent(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()
