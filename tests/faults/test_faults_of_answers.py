"""What the faults of answers and of scrapes do to a real call through the proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from tests.sandbox.gateway_stand import DONE, chunk, completion
from tiercli.errors import InvalidInput
from tiercli.faults.proxy.client import FaultControl
from tiercli.faults.proxy.process import FaultProxy
from tiercli.faults.proxy.routes import Route
from tiercli.signals.error_codes import code_of
from tiercli.wires.openai import OPENAI

TOKEN = "a-token-of-this-test"
CLOUD = {"provider": "anthropic", "region": "ap-south-1", "tier": "cloud"}
SCRAPE = {"scrape": "gpus", "server": "vllm-a"}
STREAM = [chunk("one"), chunk("two"), chunk("three"), chunk(usage=(11, 40)), DONE]


class Stand:
    """A proxy with a route for calls and one for scrapes, a client, and how often the upstream was asked."""

    def __init__(self, proxy: FaultProxy, control: FaultControl, client: aiohttp.ClientSession) -> None:
        self.proxy, self.control, self.client, self.asked = proxy, control, client, 0

    def url(self, route: str) -> str:
        return f"http://127.0.0.1:{self.proxy.ports[route]}"

    async def call(self) -> tuple[int, dict[str, Any], dict[str, str]]:
        async with self.client.post(f"{self.url('cloud')}/v1/chat/completions", json={"model": "m"}) as answer:
            return answer.status, await answer.json(), {key.lower(): value for key, value in answer.headers.items()}

    async def stream(self) -> tuple[bytes, float, bool]:
        """What came, after how many seconds the first of it came, and whether it came to an end."""
        began, first, content = time.monotonic(), 0.0, b""
        async with self.client.post(f"{self.url('cloud')}/v1/chat/completions", json={"stream": True}) as answer:
            try:
                async for piece in answer.content.iter_any():
                    first = first or time.monotonic() - began
                    content += piece
            except aiohttp.ClientError:
                return content, first, False
        return content, first, True


@asynccontextmanager
async def standing() -> AsyncIterator[Stand]:
    async def complete(request: web.Request) -> web.StreamResponse:
        stand.asked += 1
        if not (await request.json()).get("stream"):
            return web.Response(body=completion("hello", usage=(11, 40)), content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in STREAM:
            await response.write(piece)
            await asyncio.sleep(0.01)
        return response

    async def expose(_: web.Request) -> web.Response:
        return web.Response(text="gpu_busy 1\n")

    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", complete), web.get("/metrics", expose)])
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream = f"http://127.0.0.1:{runner.addresses[0][1]}"
    routes = [
        Route(name=name, port=0, upstream=upstream, labels=of) for name, of in (("cloud", CLOUD), ("gpus", SCRAPE))
    ]
    proxy = FaultProxy(routes, control_port=0, token=TOKEN)
    await proxy.start()
    try:
        async with (
            FaultControl(f"http://127.0.0.1:{proxy.control_port}", TOKEN) as control,
            aiohttp.ClientSession() as client,
        ):
            stand = Stand(proxy, control, client)
            yield stand
    finally:
        await proxy.close()
        await runner.cleanup()


def test_a_black_hole_takes_the_call_and_never_answers() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            applied = await stand.control.apply("blackhole", CLOUD)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stand.call(), 0.5)
            assert stand.asked == 0
            await stand.control.clear(applied)
            assert (await stand.call())[0] == 200
            await stand.control.apply("blackhole", CLOUD, {"share": 0.5, "seed": 4})
            answered = 0
            for _ in range(20):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stand.call(), 0.2)
                    answered += 1
            assert 5 < answered < 15

    uvloop.run(scenario())


def test_throttling_says_how_long_to_wait() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("throttle", CLOUD, {"share": 1, "retry_after_seconds": 7})
            status, body, headers = await stand.call()
            assert (status, headers["retry-after"], body["error"]["code"]) == (429, "7", "rate_limit_exceeded")
            assert code_of(status) == "RATE_LIMITED"
            assert stand.asked == 0

    uvloop.run(scenario())


def test_an_unclassified_failure_is_one_that_the_gateway_has_no_code_for() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("unclassified", CLOUD, {"share": 1})
            assert code_of((await stand.call())[0]) == "UPSTREAM_UNCLASSIFIED"

    uvloop.run(scenario())


def test_shares_are_shares() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            for fault in ("throttle", "unclassified"):
                applied = await stand.control.apply(fault, CLOUD, {"share": 0.5, "seed": 3})
                statuses = [(await stand.call())[0] for _ in range(200)]
                assert 60 <= statuses.count(200) <= 140
                await stand.control.clear(applied)

    uvloop.run(scenario())


def test_a_slow_stream_comes_late_and_drips_and_other_calls_do_not() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("slow-stream", CLOUD, {"first_token_seconds": 0.4, "piece_seconds": 0.1})
            began = time.monotonic()
            content, first, whole = await stand.stream()
            assert (content, whole) == (b"".join(STREAM), True)
            assert first >= 0.4
            assert time.monotonic() - began >= 0.4 + 0.1
            began = time.monotonic()
            await stand.call()
            assert time.monotonic() - began < 0.4

    uvloop.run(scenario())


def test_a_truncated_stream_begins_and_breaks_off() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("truncated-stream", CLOUD, {"pieces": 2})
            content, _, whole = await stand.stream()
            assert not whole
            assert content
            assert b"".join(STREAM).startswith(content)
            assert DONE not in content
            assert (await stand.call())[0] == 200

    uvloop.run(scenario())


def test_refusals_are_refusals_in_both_forms() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("refusal-drift", CLOUD, {"share": 1})
            _, body, _ = await stand.call()
            reading = OPENAI.read_whole(json.dumps(body).encode())
            assert reading.refused
            assert reading.usage is not None
            assert reading.usage.output_tokens == 40

    uvloop.run(scenario())


def test_answers_of_another_length_say_so_in_their_usage() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("output-length-drift", CLOUD, {"factor": 2.5})
            _, body, _ = await stand.call()
            assert body["usage"] == {"prompt_tokens": 11, "completion_tokens": 100, "total_tokens": 111}
            assert body["choices"][0]["message"]["content"] == "hello"
            content, _, whole = await stand.stream()
            events = [event[6:] for event in content.split(b"\n\n") if event]
            assert whole
            assert events[-1] == b"[DONE]"
            assert json.loads(events[-2])["usage"]["completion_tokens"] == 100
            assert [json.loads(event)["choices"][0]["delta"]["content"] for event in events[:3]] == [
                "one",
                "two",
                "three",
            ]

    uvloop.run(scenario())


@pytest.mark.parametrize("mode", ["refused", "error"])
def test_a_scrape_that_fails_leaves_calls_alone(mode: str) -> None:
    async def scenario() -> None:
        async with standing() as stand:

            async def scrape() -> int:
                try:
                    async with stand.client.get(f"{stand.url('gpus')}/metrics") as answer:
                        return answer.status
                except aiohttp.ClientError:
                    return 0

            assert await scrape() == 200
            applied = await stand.control.apply("scrape-failure", {"scrape": "gpus"}, {"mode": mode})
            assert applied.routes == ("gpus",)
            assert await scrape() == (0 if mode == "refused" else 503)
            assert (await stand.call())[0] == 200
            await stand.control.clear(applied)
            assert await scrape() == 200

    uvloop.run(scenario())


def test_the_proxy_refuses_what_another_injector_does() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            with pytest.raises(InvalidInput):
                await stand.control.apply("cost-runaway", {"tenant": "acme"}, {"calls_per_second": 1})

    uvloop.run(scenario())
