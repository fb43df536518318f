"""Steering `tiercli proxy`: its token, its faults and their leases, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import httpx
import pytest
from aiohttp import web
from measured_stand import GPT, catalog_with
from proxy_process import ASKED, TOKEN, proxy_process, run_scenario, until, upstream

from tests.sandbox.gateway_stand import DONE, chunk
from tiercli.audit.record import record_decoder
from tiercli.errors import ExitCode
from tiercli.faults.proxy.client import FaultControl
from tiercli.measuring.measuring_point import GRACE_S


def test_the_control_api_wants_the_token_and_names_the_routes(tmp_path: Path) -> None:
    async def check() -> None:
        runner, port = await upstream([])
        catalog_with(GPT | {"url": f"http://127.0.0.1:{port}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path) as proxy:
                async with FaultControl(proxy.control, "wrong") as stranger:
                    with pytest.raises(Exception, match="401"):
                        await stranger.routes()
                async with FaultControl(proxy.control, TOKEN) as control:
                    (route,) = await control.routes()
                    assert f"http://{route.address}" == proxy.url
                    assert route.labels == {"provider": "openai", "region": "ap-south-1", "tier": "cloud"}
                    assert {"outage", "latency", "refusal-drift"} <= set(route.faults)
        finally:
            await runner.cleanup()

    run_scenario(check)


@pytest.mark.parametrize("given", ["file", "made"])
def test_the_token_is_a_files_or_made_in_one_that_only_its_owner_can_read(tmp_path: Path, given: str) -> None:
    async def check() -> None:
        catalog_with(GPT | {"url": "http://127.0.0.1:9"}, folder=tmp_path)
        (tmp_path / "token").write_text("from-a-file\n")
        arguments = ["--token-file", "token"] if given == "file" else []
        with proxy_process(tmp_path, *arguments, token="not-this-one" if given == "file" else None) as proxy:
            path = tmp_path / proxy.said["control"]["token_file"]
            if given == "made":
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            async with FaultControl(proxy.control, path.read_text().strip()) as control:
                assert len(await control.routes()) == 1
            assert proxy.end(signal.SIGTERM) == ExitCode.OK
            assert path.exists() == (given == "file")

    run_scenario(check)


def test_a_fault_ends_within_its_lease_when_whoever_set_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from tiercli.faults.proxy.client import FaultControl\n"
        "async def main():\n"
        "    async with FaultControl(sys.argv[1], sys.argv[2]) as control:\n"
        "        await control.apply('errors', {'provider': 'openai'}, {'share': 1}, lease_s=1)\n"
        "        print('on', flush=True)\n"
        "        while True:\n"
        "            await control.renew_all()\n"
        "            await asyncio.sleep(0.1)\n"
        "asyncio.run(main())\n"
    )

    async def check() -> None:
        runner, port = await upstream([])
        catalog_with(GPT | {"url": f"http://127.0.0.1:{port}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path) as proxy:
                drill = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", code, proxy.control, TOKEN, stdout=subprocess.PIPE
                )
                assert drill.stdout is not None
                assert await drill.stdout.readline() == b"on\n"
                try:
                    async with httpx.AsyncClient(trust_env=False) as client:
                        for _ in range(4):  # it is renewed beyond its lease
                            answer = await client.post(f"{proxy.url}/v1/chat/completions", json=ASKED)
                            assert answer.status_code == 500
                            await asyncio.sleep(0.5)
                        drill.kill()
                        end = time.monotonic() + 30
                        while answer.status_code != 200:
                            assert time.monotonic() < end, "the fault is still on"
                            answer = await client.post(f"{proxy.url}/v1/chat/completions", json=ASKED)
                    async with FaultControl(proxy.control, TOKEN) as control:
                        assert await control.active() == ()
                finally:
                    if drill.returncode is None:
                        drill.kill()
                    await drill.wait()
        finally:
            await runner.cleanup()

    run_scenario(check)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, ExitCode.OK), (signal.SIGINT, ExitCode.INTERRUPTED)], ids=["TERM", "INT"]
)
def test_a_call_under_way_comes_to_its_end_before_the_proxy_does(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    async def check() -> None:
        over = asyncio.Event()

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(chunk("a"))
            await over.wait()
            await response.write(DONE)
            return response

        runner = web.ServerRunner(web.Server(serve), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        catalog_with(GPT | {"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path) as proxy:
                async with (
                    aiohttp.ClientSession() as client,
                    client.post(f"{proxy.url}/v1/chat/completions", json={**ASKED, "stream": True}) as answer,
                ):
                    assert await answer.content.readany() == chunk("a")
                    proxy.process.send_signal(number)
                    await until(lambda: not _listens(proxy.url))
                    over.set()
                    assert await answer.content.readany() == DONE
                assert await asyncio.to_thread(proxy.process.wait, 30) == code
                (line,) = (tmp_path / "audit.jsonl").read_bytes().splitlines()
                assert record_decoder()(line).status == "success"
        finally:
            await runner.cleanup()

    run_scenario(check)


def test_a_second_signal_ends_what_does_not_end(tmp_path: Path) -> None:
    async def check() -> None:
        async def serve(_: web.BaseRequest) -> web.StreamResponse:
            await asyncio.sleep(600)
            return web.Response()

        runner = web.ServerRunner(web.Server(serve, handler_cancellation=True), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        catalog_with(GPT | {"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path) as proxy:
                async with aiohttp.ClientSession() as client:
                    calling = asyncio.ensure_future(client.post(f"{proxy.url}/v1/chat/completions", json=ASKED))
                    await asyncio.sleep(0.3)
                    proxy.process.send_signal(signal.SIGTERM)
                    await until(lambda: not _listens(proxy.url))
                    assert not calling.done()
                    proxy.process.send_signal(signal.SIGTERM)
                    async with asyncio.timeout(0.8 * GRACE_S):  # sooner than it would give up by itself
                        with pytest.raises(aiohttp.ClientError):
                            await calling
                    assert await asyncio.to_thread(proxy.process.wait, 30) == ExitCode.OK
            (line,) = (tmp_path / "audit.jsonl").read_bytes().splitlines()
            assert record_decoder()(line).status == "failure"
        finally:
            await runner.cleanup()

    run_scenario(check)


def _listens(url: str) -> bool:
    try:
        httpx.get(url, trust_env=False, timeout=0.2)
    except httpx.ConnectError:
        return False
    except httpx.TimeoutException:
        return True
    return True


def test_without_measuring_nothing_is_served_or_written_and_an_outage_refuses(tmp_path: Path) -> None:
    async def check() -> None:
        seen: list[dict[str, str]] = []
        runner, port = await upstream(seen)
        catalog_with(GPT | {"url": f"http://127.0.0.1:{port}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path, "--no-measure") as proxy:
                async with httpx.AsyncClient(trust_env=False) as client:
                    headers = {"x-tenant": "acme-corp"}
                    await client.post(f"{proxy.url}/v1/chat/completions", json=ASKED, headers=headers)
                    assert (proxy.said["metrics"], proxy.said["audit_log"]) == (None, None)
                    assert not (tmp_path / "audit.jsonl").exists()
                    assert seen[0]["x-tenant"] == "acme-corp"  # a gateway behind it may want it
                # A client of its own: what was open is reset, and this is about what is new.
                async with FaultControl(proxy.control, TOKEN) as control, httpx.AsyncClient(trust_env=False) as client:
                    await control.apply("outage", {"provider": "openai"})
                    with pytest.raises(httpx.ConnectError):
                        await client.get(proxy.url)
        finally:
            await runner.cleanup()

    run_scenario(check)
