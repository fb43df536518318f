"""The control API and its client: who may steer, what is refused and how, and that every fault ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from tiercli.errors import BackendError, BackendUnreachable, ExitCode, FaultNotReverted, InvalidInput
from tiercli.faults.proxy.client import AppliedFault, FaultControl
from tiercli.faults.proxy.process import FaultProxy
from tiercli.faults.proxy.routes import Route
from tiercli.sandbox.ports import PortAllocator

TOKEN = "a-token-of-this-test"
TARGET = {"provider": "anthropic", "region": "ap-south-1"}


@asynccontextmanager
async def proxying() -> AsyncIterator[tuple[FaultProxy, FaultControl]]:
    """A proxy of one route, whose upstream is the proxy's own control port: something that answers."""
    with PortAllocator() as allocate:  # reserved: other tests connect from ports by the hundred
        control_port = allocate()
        route = Route(
            name="mumbai", port=0, upstream=f"http://127.0.0.1:{control_port}", labels={**TARGET, "tier": "cloud"}
        )
        proxy = FaultProxy([route], control_port=control_port, token=TOKEN)
        await proxy.start()
        try:
            async with FaultControl(
                f"http://127.0.0.1:{control_port}", TOKEN, token_file=Path("/run/token")
            ) as control:
                yield proxy, control
        finally:
            await proxy.close()


async def _answers(proxy: FaultProxy) -> bool:
    async with aiohttp.ClientSession() as client:
        try:
            async with client.get(f"http://127.0.0.1:{proxy.ports['mumbai']}/health") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False


async def _until_it_answers(proxy: FaultProxy, limit_s: float) -> None:
    end = time.monotonic() + limit_s
    while not await _answers(proxy):
        assert time.monotonic() < end, "the fault is still on"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/faults"),
        ("GET", "/routes"),
        ("PUT", "/faults/x"),
        ("POST", "/faults/x/renew"),
        ("DELETE", "/faults/x"),
        ("DELETE", "/faults"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"bearer {TOKEN}x"}],
    ids=["no token", "a wrong token", "a bare token", "a longer token"],
)
def test_without_the_token_nothing_is_told_or_done(method: str, path: str, headers: dict[str, str]) -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control), httpx.AsyncClient(base_url=control.url, headers=headers) as client:
            body = {"fault": "outage", "target": TARGET, "lease_s": 5}
            answer = await client.request(method, path, json=body if method == "PUT" else None)
            assert answer.status_code == 401
            assert TOKEN not in answer.text
            assert await _answers(proxy)
            assert await control.active() == ()

    asyncio.run(scenario())


def test_health_needs_no_token() -> None:
    async def scenario() -> None:
        async with proxying() as (_, control), httpx.AsyncClient(base_url=control.url) as client:
            answer = await client.get("/health")
            assert (answer.status_code, answer.json()) == (200, {"status": "ok", "faults": 0})

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"[]", "body"),
        (b'{"fault": "outage", "target": {}}', "lease_s"),
        (b'{"fault": "outage", "target": {}, "lease_s": 0}', "lease_s"),
        (b'{"fault": "outage", "target": {}, "lease_s": -1}', "lease_s"),
        (b'{"fault": "outage", "target": {}, "lease_s": 1e9}', "lease_s"),
        (b'{"fault": "outage", "target": {}, "lease_s": NaN}', ""),
        (b'{"fault": "outage", "target": {}, "lease_s": 5, "extra": 1}', "extra"),
        (b'{"fault": "outtage", "target": {}, "lease_s": 5}', '"suggestion": "outage"'),
        (b'{"fault": "gateway-down", "target": {}, "lease_s": 5}', "injected by the process"),
        (b'{"fault": "errors", "target": {}, "lease_s": 5}', "share"),
        (b'{"fault": "errors", "target": {}, "settings": {"share": 2}, "lease_s": 5}', "share"),
        (b'{"fault": "outage", "target": {"regoin": "x"}, "lease_s": 5}', "provider, region, tier, server"),
        (b'{"fault": "outage", "target": {"region": "mars"}, "lease_s": 5}', "mumbai (provider=anthropic"),
    ],
)
def test_what_is_no_fault_here_is_a_422_that_says_why(body: bytes, said: str) -> None:
    async def scenario() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with proxying() as (proxy, control), httpx.AsyncClient(base_url=control.url, headers=headers) as client:
            answer = await client.put("/faults/x", content=body)
            assert answer.status_code == 422
            assert said in json.dumps(answer.json())
            assert await _answers(proxy)

    asyncio.run(scenario())


def test_the_client_tells_a_refusal_as_invalid_input_with_its_problems() -> None:
    async def scenario() -> None:
        async with proxying() as (_, control):
            with pytest.raises(InvalidInput) as caught:
                await control.apply("laten", TARGET)
            assert caught.value.problems[0].suggestion == "latency"

    asyncio.run(scenario())


def test_a_fault_is_listed_while_it_is_on() -> None:
    async def scenario() -> None:
        async with proxying() as (_, control):
            applied = await control.apply("outage", TARGET, lease_s=30)
            assert await control.active() == (AppliedFault(applied.id, "outage", TARGET, ("mumbai",), 30),)
            await control.clear_all()
            assert await control.active() == ()

    asyncio.run(scenario())


def test_a_fault_put_again_under_its_id_replaces_the_first() -> None:
    async def scenario() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with proxying() as (proxy, control), httpx.AsyncClient(base_url=control.url, headers=headers) as client:
            for body in ({"fault": "outage"}, {"fault": "latency", "settings": {"seconds": 0.01}}):
                answer = await client.put("/faults/x", json={**body, "target": TARGET, "lease_s": 30})
                assert answer.status_code == 201
            assert await _answers(proxy)
            assert [applied.fault for applied in await control.active()] == ["latency"]

    asyncio.run(scenario())


def test_a_lease_that_is_not_renewed_ends_the_fault() -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control):
            await control.apply("outage", TARGET, lease_s=0.3)
            assert not await _answers(proxy)
            await _until_it_answers(proxy, 5)
            assert await control.active() == ()
            with pytest.raises(BackendError, match="ended by itself"):
                await control.renew_all()
            await control.renew_all()  # said once; there is nothing left to renew

    asyncio.run(scenario())


def test_a_lease_that_is_renewed_keeps_the_fault_on() -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control):
            await control.apply("outage", TARGET, lease_s=1.0)
            for _ in range(8):
                await asyncio.sleep(0.25)
                await control.renew_all()
            assert not await _answers(proxy)

    asyncio.run(scenario())


CONTROLLER = """
import asyncio, sys
from tiercli.faults.proxy.client import FaultControl
async def main():
    control = FaultControl(sys.argv[1], sys.argv[2])
    await control.apply("outage", {"region": "ap-south-1"}, lease_s=1.0)
    print("on", flush=True)
    while True:
        await control.renew_all()
        await asyncio.sleep(0.2)
asyncio.run(main())
"""


def test_a_killed_controller_leaves_no_fault_behind() -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CONTROLLER, control.url, TOKEN, stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 20) == b"on\n"
            await asyncio.sleep(1.3)  # longer than the lease: it lives by being renewed
            assert not await _answers(proxy)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await _until_it_answers(proxy, 5)

    asyncio.run(scenario())


def test_leaving_the_control_clears_its_faults_even_after_an_error() -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control):
            with pytest.raises(RuntimeError):
                await _apply_and_fail(FaultControl(control.url, TOKEN))
            assert await _answers(proxy)

    asyncio.run(scenario())


async def _apply_and_fail(control: FaultControl) -> None:
    async with control:
        await control.apply("outage", TARGET, lease_s=60)
        raise RuntimeError("the drill breaks")


def test_a_fault_that_cannot_be_cleared_says_how_to_undo_it_and_keeps_the_token_to_itself() -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control):
            applied = await control.apply("outage", TARGET, lease_s=60)
            await proxy.close()
            with pytest.raises(FaultNotReverted) as caught:
                await control.clear(applied)
            assert caught.value.exit_code == ExitCode.FAULT_NOT_REVERTED
            assert f"/faults/{applied.id}" in caught.value.hint
            assert "cat /run/token" in caught.value.hint
            assert TOKEN not in caught.value.hint + caught.value.message
            with pytest.raises(FaultNotReverted):
                await control.clear_all()
            control._applied.clear()  # so that leaving has nothing to clear

    asyncio.run(scenario())


def test_a_control_with_the_wrong_token_or_the_wrong_port_says_so() -> None:
    async def scenario() -> None:
        async with proxying() as (_, control):
            async with FaultControl(control.url, "wrong") as stranger:
                with pytest.raises(BackendError, match="401"):
                    await stranger.apply("outage", TARGET)
            with socket.socket() as nobody:
                nobody.bind(("127.0.0.1", 0))
                async with FaultControl(f"http://127.0.0.1:{nobody.getsockname()[1]}", TOKEN) as lost:
                    with pytest.raises(BackendUnreachable, match="does not answer"):
                        await lost.active()

    asyncio.run(scenario())


def test_the_process_serves_a_plan_and_stops_when_told(tmp_path: Path) -> None:
    plan, ports = _write_plan(tmp_path, TOKEN)
    process = subprocess.Popen(
        [sys.executable, "-m", "tiercli.faults.proxy.process", "--plan", plan], stderr=subprocess.PIPE
    )
    try:
        _wait_for_port(ports[1])
        assert httpx.get(f"http://127.0.0.1:{ports[1]}/faults").status_code == 401
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def _write_plan(folder: Path, token: str) -> tuple[str, list[int]]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
    (folder / "token").write_text(token)
    route: dict[str, Any] = {"name": "r", "port": ports[0], "upstream": "http://127.0.0.1:9", "labels": {}}
    plan = {"proxy": {"control_port": ports[1], "token_file": str(folder / "token"), "routes": [route]}}
    (folder / "plan.json").write_text(json.dumps(plan))
    return str(folder / "plan.json"), ports


def _wait_for_port(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the process does not listen")


@pytest.mark.parametrize(
    ("content", "token", "said"),
    [
        (None, TOKEN, "is not a plan of a fault proxy"),
        ("not json", TOKEN, "is not a plan of a fault proxy"),
        ("{}", TOKEN, "is not a plan of a fault proxy"),
        ("[]", TOKEN, "is not a plan of a fault proxy"),
        ('{"proxy": {"control_port": "x"}}', TOKEN, "is not a plan of a fault proxy"),
        ("", "", "is empty"),
    ],
    ids=["no file", "not JSON", "no proxy in it", "a list", "of the wrong shape", "an empty token"],
)
def test_a_plan_that_is_none_ends_the_process_with_2_and_one_line(
    tmp_path: Path, content: str | None, token: str, said: str
) -> None:
    plan, _ = _write_plan(tmp_path, token)
    if content is None:
        Path(plan).unlink()
    elif content:
        Path(plan).write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "tiercli.faults.proxy.process", "--plan", plan],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == ExitCode.INVALID_INPUT
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
