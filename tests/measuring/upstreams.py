"""What stands behind the proxy in these tests: the simulated providers as the sandbox runs them, and a fake of Anthropic's API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tiercli.catalog.model import Catalog
from tiercli.sandbox.plan import EstatePlan, plan_estate, write_plan
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.providers.process import serving

TEXT = "a secret answer"


def providers_plan(catalog: Catalog, folder: Path, ports: PortAllocator) -> EstatePlan:
    """The simulated estate of `catalog`, its providers quick and without failures of their own."""
    quick = {"p50_seconds": 0.03, "p95_seconds": 0.05, "error_ratio": 0.0}
    data = catalog.model_dump(by_alias=True, exclude_none=True)
    for provider in data["providers"].values():
        for region in provider["regions"].values():
            region["typical"] |= quick
    return plan_estate(Catalog.model_validate(data), folder=folder, allocate=ports, token_file=folder / "token")


@asynccontextmanager
async def simulated(catalog: Catalog, folder: Path) -> AsyncIterator[dict[str, str]]:
    """The simulated providers, by their keys in the plan (provider/region or provider/region/server)."""
    with PortAllocator() as ports:
        plan = providers_plan(catalog, folder, ports)
        write_plan(plan, folder / "plan.json")
        async with serving(folder / "plan.json"):
            yield {endpoint.key: f"http://127.0.0.1:{endpoint.upstream_port}" for endpoint in plan.endpoints}


class FakeAnthropic:
    """A fake: answers /v1/messages in the public wire format, streamed where it is asked to. `seen`: the headers of each
    request; `status`: what it answers instead of 200; `cut`: a stream ends after so many events."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.status = 200
        self.cut: int | None = None
        self.stop_reason = "end_turn"
        self.usage = {"input_tokens": 25, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 100}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        asked = await request.json()
        if self.status != 200:
            error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            return web.json_response(error, status=self.status)
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"]}
        if not asked.get("stream"):
            body = {
                **head,
                "content": [{"type": "text", "text": TEXT}],
                "stop_reason": self.stop_reason,
                "usage": {**self.usage, "output_tokens": 12},
            }
            return web.json_response(body, headers={"request-id": "req_of_anthropic"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for number, event in enumerate(self._events(head)):
            if number == self.cut:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(event)
        return response

    def _events(self, head: dict[str, Any]) -> list[bytes]:
        start = {**head, "content": [], "stop_reason": None, "usage": {**self.usage, "output_tokens": 1}}
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        words = [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
            for word in ("a ", "secret ", "answer")
        ]
        stopped = {"stop_reason": self.stop_reason, "stop_sequence": None}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": start},
            block,
            {"type": "ping"},
            *words,
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stopped, "usage": {"output_tokens": 15}},
            {"type": "message_stop"},
        ]
        return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]


@asynccontextmanager
async def fake_anthropic() -> AsyncIterator[tuple[str, FakeAnthropic]]:
    """The base URL of a FakeAnthropic, and the fake."""
    fake = FakeAnthropic()
    application = web.Application()
    application.router.add_post("/v1/messages", fake.serve)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", fake
    finally:
        await runner.cleanup()
