"""The fault proxy over real sockets: what it passes on untouched, and what each fault does to it."""

from __future__ import annotations

import asyncio
import io
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web
from yarl import URL

from tiercli.errors import BackendError
from tiercli.faults.proxy.client import FaultControl
from tiercli.faults.proxy.process import FaultProxy
from tiercli.faults.proxy.routes import Route

TOKEN = "a-token-of-this-test"
MUMBAI = {"provider": "anthropic", "region": "ap-south-1", "tier": "cloud"}
VIRGINIA = {"provider": "anthropic", "region": "us-east-1", "tier": "cloud"}
VLLM_A = {"provider": "vllm", "region": "mumbai-dc", "tier": "local", "server": "vllm-a"}
Runner = Callable[[Coroutine[Any, Any, None]], None]


class Stand:
    """A proxy with three routes before one upstream, and a client."""

    def __init__(
        self, proxy: FaultProxy, control: FaultControl, client: aiohttp.ClientSession, seen: list[Any]
    ) -> None:
        self.proxy, self.control, self.client, self.seen = proxy, control, client, seen

    def url(self, route: str = "mumbai", path: str = "/echo") -> str:
        return f"http://127.0.0.1:{self.proxy.ports[route]}{path}"

    async def status(self, route: str = "mumbai", path: str = "/echo") -> int:
        async with self.client.get(self.url(route, path)) as answer:
            await answer.read()
            return answer.status


@asynccontextmanager
async def standing() -> AsyncIterator[Stand]:
    seen: list[Any] = []
    release = asyncio.Event()

    async def echo(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.path_qs, request.headers.copy(), await request.read()))
        headers = [("X-Two", "1"), ("X-Two", "2"), ("Connection", "X-Hop"), ("X-Hop", "gone")]
        return web.Response(body=await request.read() or b"nothing", headers=headers)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        await release.wait()
        await response.write(b"data: last\n\n")
        return response

    async def let_go(_: web.Request) -> web.Response:
        release.set()
        return web.Response()

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        await response.write(b"x" * 500)
        assert request.transport is not None
        request.transport.close()
        return response

    application = web.Application(client_max_size=1 << 30)
    application.add_routes([web.route("*", "/echo", echo), web.get("/stream", stream), web.get("/go", let_go)])
    application.add_routes([web.get("/cut", cut)])
    upstream = web.AppRunner(application)
    await upstream.setup()
    await web.TCPSite(upstream, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{upstream.addresses[0][1]}"
    labelled = {"mumbai": MUMBAI, "virginia": VIRGINIA, "vllm-a": VLLM_A}
    routes = [Route(name=name, port=0, upstream=base, labels=labels) for name, labels in labelled.items()]
    proxy = FaultProxy(routes, control_port=0, token=TOKEN)
    await proxy.start()
    try:
        async with (
            FaultControl(f"http://127.0.0.1:{proxy.control_port}", TOKEN) as control,
            aiohttp.ClientSession(auto_decompress=False) as client,
        ):
            yield Stand(proxy, control, client, seen)
    finally:
        release.set()
        await proxy.close()
        await upstream.cleanup()


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs a scenario on either event loop: the process uses uvloop, an embedding program may not."""
    return lambda scenario: request.param(scenario)


def test_a_call_passes_through_with_its_path_body_and_end_to_end_headers(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            headers = {
                "X-Tenant": "acme%20corp",
                "Connection": "keep-alive, X-Private",
                "X-Private": "hop",
                "TE": "trailers",
            }
            url = stand.url(path="/echo?a=%2F&b=%20")
            async with stand.client.post(URL(url, encoded=True), data=b"body", headers=headers) as answer:
                assert (answer.status, await answer.read()) == (200, b"body")
                assert answer.headers.getall("X-Two") == ["1", "2"]
                assert "X-Hop" not in answer.headers
            method, path, received, body = stand.seen[0]
            assert (method, path, body) == ("POST", "/echo?a=%2F&b=%20", b"body")
            assert received["X-Tenant"] == "acme%20corp"
            assert not {"X-Private", "TE"} & set(received)

    run(scenario())


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 3_000_000], ids=lambda size: f"{size} bytes")
def test_a_body_of_any_size_arrives_whole_in_both_directions(size: int, run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            content = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
            async with stand.client.put(stand.url(), data=io.BytesIO(content)) as answer:
                assert await answer.read() == (content or b"nothing")
            async with stand.client.put(stand.url(), data=_pieces(content)) as answer:
                assert await answer.read() == (content or b"nothing")

    run(scenario())


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 70_000):
        yield content[start : start + 70_000]


def test_a_head_request_has_the_length_and_no_body(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand, stand.client.head(stand.url()) as answer:
            assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "7", b"")

    run(scenario())


def test_a_stream_is_not_held_back(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand, stand.client.get(stand.url(path="/stream")) as answer:
            assert await answer.content.readuntil(b"\n\n") == b"data: first\n\n"  # the upstream still waits
            assert await stand.status(path="/go") == 200
            assert await answer.read() == b"data: last\n\n"

    run(scenario())


def test_an_answer_cut_short_by_the_upstream_is_cut_short_for_the_client(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            with pytest.raises(aiohttp.ClientError):
                await stand.status(path="/cut")

    run(scenario())


def test_an_upstream_that_is_not_there_is_a_502_that_says_who_speaks() -> None:
    async def scenario() -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            base = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            proxy = FaultProxy([Route(name="r", port=0, upstream=base)], control_port=0, token=TOKEN)
            await proxy.start()
            async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{proxy.ports['r']}/") as answer:
                assert (answer.status, answer.headers["X-Tiercli-Proxy"]) == (502, "upstream-unreachable")
            await proxy.close()

    asyncio.run(scenario())


def test_a_request_line_that_names_another_host_is_refused() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            reader, writer = await asyncio.open_connection("127.0.0.1", stand.proxy.ports["mumbai"])
            writer.write(b"GET http://elsewhere.example/ HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()
            assert stand.seen == []

    asyncio.run(scenario())


def test_a_taken_port_is_said_and_nothing_is_left_listening() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            free = other.getsockname()[1]
            other.close()
            routes = [
                Route(name="free", port=free, upstream="http://127.0.0.1:1"),
                Route(name="taken", port=taken.getsockname()[1], upstream="http://127.0.0.1:1"),
            ]
            with pytest.raises(BackendError, match="cannot listen"):
                await FaultProxy(routes, control_port=0, token=TOKEN).start()
            assert await _connects(free) is False

    asyncio.run(scenario())


def test_a_second_proxy_does_not_share_the_port_of_the_first() -> None:
    async def scenario() -> None:
        async with standing() as stand:
            route = Route(name="same", port=stand.proxy.ports["mumbai"], upstream="http://127.0.0.1:1")
            with pytest.raises(BackendError, match="cannot listen"):
                await FaultProxy([route], control_port=0, token=TOKEN).start()
            assert {await stand.status() for _ in range(10)} == {200}

    asyncio.run(scenario())


async def _connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


def test_an_outage_refuses_connections_on_its_routes_only_and_ends_when_cleared(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            assert await stand.status() == 200  # a connection that is kept alive, to be reset
            outage = await stand.control.apply("outage", {"provider": "anthropic", "region": "ap-south-1"})
            assert outage.routes == ("mumbai",)
            assert await _connects(stand.proxy.ports["mumbai"]) is False
            with pytest.raises(aiohttp.ClientConnectionError):
                await stand.status()
            assert await stand.status("virginia") == 200
            with socket.socket() as thief, pytest.raises(OSError, match="in use"):
                thief.bind(("127.0.0.1", stand.proxy.ports["mumbai"]))  # the port stays ours
            await stand.control.clear(outage)
            assert await stand.status() == 200

    run(scenario())


def test_two_outages_on_one_route_end_with_the_second(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            first = await stand.control.apply("outage", {"tier": "local"})
            second = await stand.control.apply("outage", {"server": "vllm-a"})
            await stand.control.clear(first)
            assert await _connects(stand.proxy.ports["vllm-a"]) is False
            await stand.control.clear(second)
            assert await stand.status("vllm-a") == 200

    run(scenario())


def test_an_outage_resets_a_stream_that_is_under_way(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand, stand.client.get(stand.url(path="/stream")) as answer:
            await answer.content.readuntil(b"\n\n")
            await stand.control.apply("outage", {"region": "ap-south-1"})
            with pytest.raises((aiohttp.ClientError, ConnectionResetError)):
                await asyncio.wait_for(answer.read(), 5)

    run(scenario())


def test_a_reset_outage_accepts_and_resets(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("outage", {"region": "ap-south-1"}, {"mode": "reset"})
            reader, writer = await asyncio.open_connection("127.0.0.1", stand.proxy.ports["mumbai"])
            writer.write(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 5)
            writer.close()

    run(scenario())


async def _seconds(call: Awaitable[object]) -> float:
    began = time.perf_counter()
    await call
    return time.perf_counter() - began


@pytest.mark.parametrize(
    "settings",
    [
        {"seconds": 0.2},
        {"seconds": 0.2, "mode": "target"},
        {"p50_seconds": 0.2, "p95_seconds": 0.2},
        {"p50_seconds": 0.2, "p95_seconds": 0.2, "mode": "target"},
    ],
    ids=str,
)
def test_latency_makes_an_answer_take_at_least_so_long(settings: dict[str, Any], run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("latency", {"region": "ap-south-1"}, settings)
            assert await _seconds(stand.status()) >= 0.199

    run(scenario())


def test_target_latency_holds_the_first_token_of_a_stream_for_its_share_and_the_end_for_all_of_it(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            assert await stand.status(path="/go") == 200  # the upstream itself does not wait
            settings = {"mode": "target", "seconds": 0.6, "first_token_share": 0.5}
            await stand.control.apply("latency", {"region": "ap-south-1"}, settings)
            began = time.perf_counter()
            async with stand.client.get(stand.url(path="/stream")) as answer:
                await answer.content.readuntil(b"\n\n")
                first = time.perf_counter() - began
                await answer.read()
                assert first >= 0.299
                assert time.perf_counter() - began >= 0.599

    run(scenario())


def test_errors_come_in_their_share_with_their_codes_and_do_not_reach_the_upstream(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            settings = {"share": 0.5, "status_codes": [503, 529], "seed": 7}
            await stand.control.apply("errors", {"region": "ap-south-1"}, settings)
            statuses = [await stand.status() for _ in range(60)]
            failed = [status for status in statuses if status != 200]
            assert set(failed) == {503, 529}
            assert 15 <= len(failed) <= 45
            assert len(stand.seen) == 60 - len(failed)

    run(scenario())


@pytest.mark.parametrize("share", [0, 1], ids=["a share of 0 fails nothing", "a share of 1 fails everything"])
def test_the_ends_of_share(share: int, run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("errors", {"region": "ap-south-1"}, {"share": share})
            assert {await stand.status() for _ in range(10)} == {500 if share else 200}

    run(scenario())


def test_a_malformed_answer_succeeds_has_no_choice_in_it_and_keeps_its_kind(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            applied = await stand.control.apply("malformed", {"region": "ap-south-1"}, {})
            async with stand.client.get(stand.url()) as answer:
                assert (answer.status, await answer.json(content_type=None)) == (
                    200,
                    {"object": "chat.completion", "choices": []},
                )
            async with stand.client.get(stand.url(path="/go")):
                pass
            async with stand.client.get(stand.url(path="/stream")) as answer:
                assert answer.content_type == "text/event-stream"
                assert b"first" not in (body := await answer.read())
                assert body.endswith(b"data: [DONE]\n\n")
            async with stand.client.get(stand.url("virginia")) as answer:
                assert await answer.read() == b"nothing"
            await stand.control.clear(applied)
            async with stand.client.get(stand.url()) as answer:
                assert await answer.read() == b"nothing"

    run(scenario())


def test_a_wrong_region_changes_what_the_answer_says_of_itself_and_nothing_else(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("wrong-region", {"region": "ap-south-1"}, {"region": "über/all"})
            async with stand.client.get(stand.url()) as answer:
                assert answer.headers.getall("x-served-region") == ["%C3%BCber%2Fall"]
                assert answer.headers.getall("X-Two") == ["1", "2"]
                assert await answer.read() == b"nothing"
            async with stand.client.get(stand.url("virginia")) as answer:
                assert "x-served-region" not in answer.headers

    run(scenario())


def test_two_faults_on_one_route_both_act(run: Runner) -> None:
    async def scenario() -> None:
        async with standing() as stand:
            await stand.control.apply("errors", {"region": "ap-south-1"}, {"share": 1})
            late = await stand.control.apply("latency", {"region": "ap-south-1"}, {"seconds": 0.2})
            began = time.perf_counter()
            assert await stand.status() == 500
            assert time.perf_counter() - began >= 0.199
            await stand.control.clear(late)
            assert await stand.status() == 500

    run(scenario())


def test_a_client_that_hangs_up_ends_the_call_to_the_upstream(run: Runner) -> None:
    async def scenario() -> None:
        ended = asyncio.Event()

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            held.set()
            await reader.read()
            ended.set()
            writer.close()

        held = asyncio.Event()
        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        proxy = FaultProxy([Route(name="r", port=0, upstream=base)], control_port=0, token=TOKEN)
        await proxy.start()
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.ports["r"])
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(held.wait(), 5)
        writer.close()
        await asyncio.wait_for(ended.wait(), 5)
        await proxy.close()
        server.close()

    run(scenario())
