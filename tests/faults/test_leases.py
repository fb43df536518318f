"""A fault that cannot be turned off at once is not forgotten: it stays among those that are on, and is tried again."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tiercli.errors import BackendError
from tiercli.faults.proxy import listener
from tiercli.faults.proxy.client import FaultControl
from tiercli.faults.proxy.process import FaultProxy
from tiercli.faults.proxy.routes import Route

TOKEN = "a-token-of-this-test"


class Descriptors:
    """Those of the machine: while `missing` is above 0, nothing can be listened on again, and that many tries are refused."""

    def __init__(self) -> None:
        self.missing = 0
        self.refused_ports: set[int] = set()

    def bind(self, host: str, port: int, *, shared: bool = True) -> socket.socket:
        if self.missing and port:
            self.missing -= 1
            self.refused_ports.add(port)
            raise BackendError(f"cannot listen on {host}:{port}: {os.strerror(errno.EMFILE)}")
        return REAL_BIND(host, port, shared=shared)


REAL_BIND = listener._bind


@pytest.fixture
def descriptors(monkeypatch: pytest.MonkeyPatch) -> Descriptors:
    one = Descriptors()
    monkeypatch.setattr(listener, "_bind", one.bind)
    return one


@asynccontextmanager
async def proxying() -> AsyncIterator[tuple[FaultProxy, FaultControl]]:
    """A proxy of two routes to nobody: 502 where a route answers, and its control."""
    routes = [Route(name=name, port=0, upstream="http://127.0.0.1:9", labels={"region": name}) for name in ("a", "b")]
    proxy = FaultProxy(routes, control_port=0, token=TOKEN)
    await proxy.start()
    try:
        async with FaultControl(f"http://127.0.0.1:{proxy.control_port}", TOKEN) as control:
            yield proxy, control
    finally:
        await proxy.close()


async def answers(proxy: FaultProxy, route: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"http://127.0.0.1:{proxy.ports[route]}/")).status_code == 502
        except httpx.ConnectError:
            return False


async def until_it_answers(proxy: FaultProxy, route: str) -> None:
    end = time.monotonic() + 20
    while not await answers(proxy, route):
        assert time.monotonic() < end, "the fault is still on"
        await asyncio.sleep(0.02)


def test_who_is_told_that_a_fault_is_off_finds_it_off(descriptors: Descriptors) -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control):
            applied = await control.apply("outage", {"region": "a"}, lease_s=30)
            assert not await answers(proxy, "a")
            descriptors.missing = 1
            await control.clear(applied)  # it is refused once, and asks again
            assert descriptors.missing == 0
            assert await answers(proxy, "a")
            assert await control.active() == ()

    asyncio.run(scenario())


def test_a_fault_that_outlives_its_lease_is_tried_again_until_it_is_off(
    descriptors: Descriptors, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control):
            await control.apply("outage", {"region": "a"}, lease_s=0.2)
            descriptors.missing = 2
            while descriptors.missing == 2:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)
            assert [one.fault for one in await control.active()] == ["outage"]
            await control.renew_all()  # too late: it is to be off
            await until_it_answers(proxy, "a")
            assert await control.active() == ()

    asyncio.run(scenario())
    said = "outage on a is tried again until it is off: cannot listen on 127.0.0.1:"
    assert capsys.readouterr().err.count(said) == 1


def test_one_fault_that_cannot_be_turned_off_does_not_keep_the_others_on(descriptors: Descriptors) -> None:
    async def scenario() -> None:
        async with proxying() as (proxy, control):
            for region in ("a", "b"):
                await control.apply("outage", {"region": region}, lease_s=30)
            descriptors.missing = 1
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with httpx.AsyncClient(base_url=control.url, headers=headers, trust_env=False) as client:
                assert (await client.delete("/faults")).status_code == 500
            assert descriptors.refused_ports == {proxy.ports["b"]}
            assert await answers(proxy, "a")
            await until_it_answers(proxy, "b")

    asyncio.run(scenario())


def test_a_proxy_closes_whatever_cannot_be_turned_off(descriptors: Descriptors) -> None:
    async def scenario() -> None:
        async with proxying() as (_, control):
            await control.apply("outage", {"region": "a"}, lease_s=30)
            control._applied.clear()  # as where the drill is gone
            descriptors.missing = 1_000

    asyncio.run(scenario())
