"""What a real Toxiproxy makes of tiercli's faults, for calls over HTTP that go through it. make test-toxiproxy gets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.environment.loopback import Asked, serving
from tests.faults.environment.stands import MUMBAI, injectors_of, real_toxiproxy, toxiproxy_at
from tiercli.errors import BackendError

pytestmark = pytest.mark.slow


class Estate:
    """A Toxiproxy before an endpoint that notes who calls it."""

    def __init__(self, folder: Path, toxiproxy: str, upstream: str, asked: list[Asked]) -> None:
        proxy = {"name": "mumbai", "listen": "127.0.0.1:0", "upstream": upstream.removeprefix("http://")}
        answer = httpx.post(f"{toxiproxy}/proxies", json=proxy, trust_env=False)
        self.url = f"http://{answer.json()['listen']}"
        self.toxiproxy = toxiproxy
        self.asked = asked
        self.stand = toxiproxy_at(folder, toxiproxy, "mumbai")

    @asynccontextmanager
    async def under(self, fault: str, settings: dict[str, Any]) -> AsyncIterator[None]:
        """Inside, the fault is on; afterwards calls are answered again."""
        async with injectors_of(self.stand.catalog) as live:
            assert await live.check([(fault, MUMBAI, settings)]) == []
            await live.apply(fault, MUMBAI, settings)
            assert self.stand.is_on()
            self.asked.clear()
            yield
        assert not self.stand.is_on()
        assert await self.call() == 200

    async def call(self, timeout_s: float = 20) -> int:
        """The status of a call on a connection of its own."""
        async with httpx.AsyncClient(timeout=timeout_s, trust_env=False) as client:
            return (await client.get(self.url)).status_code


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    asked: list[Asked] = []

    def answer(one: Asked) -> tuple[int, str]:
        asked.append(one)
        return 200, '"pong"'

    with serving(answer) as upstream, real_toxiproxy() as url:
        yield Estate(tmp_path, url, upstream, asked)


def test_an_outage_refuses_connections(estate: Estate) -> None:
    async def scenario() -> None:
        async with estate.under("outage", {}):
            with pytest.raises(httpx.ConnectError):
                await estate.call()

    asyncio.run(scenario())
    assert len(estate.asked) == 1


def test_an_outage_by_reset_breaks_calls_off_before_they_cost_anything(estate: Estate) -> None:
    async def scenario() -> None:
        async with estate.under("outage", {"mode": "reset"}):
            with pytest.raises(httpx.ReadError):
                await estate.call()
            assert estate.asked == []

    asyncio.run(scenario())


def test_an_open_connection_does_not_get_round_a_reset(estate: Estate) -> None:
    async def scenario() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(estate.url)).status_code == 200
            async with estate.under("outage", {"mode": "reset"}):
                with pytest.raises(httpx.TransportError):
                    await client.get(estate.url)
                assert estate.asked == []

    asyncio.run(scenario())


def test_a_blackhole_answers_nothing_and_passes_nothing_on(estate: Estate) -> None:
    async def scenario() -> None:
        async with estate.under("blackhole", {}):
            with pytest.raises(httpx.ReadTimeout):
                await estate.call(timeout_s=1)
            assert estate.asked == []

    asyncio.run(scenario())


def test_a_latency_holds_answers_back(estate: Estate) -> None:
    async def scenario() -> None:
        async with estate.under("latency", {"seconds": 30}):
            with pytest.raises(httpx.ReadTimeout):
                await estate.call(timeout_s=1)
            assert len(estate.asked) == 1
        async with estate.under("latency", {"p50_seconds": 0.1, "p95_seconds": 0.15}):
            assert await estate.call() == 200

    asyncio.run(scenario())


def test_faults_of_two_drills_do_not_undo_each_other(estate: Estate) -> None:
    async def scenario() -> None:
        async with estate.under("latency", {"seconds": 0.01}):
            async with injectors_of(estate.stand.catalog) as live:
                await live.apply("latency", MUMBAI, {"seconds": 0.02})
            assert estate.stand.is_on()
        async with injectors_of(estate.stand.catalog) as one, injectors_of(estate.stand.catalog) as two:
            await one.apply("outage", MUMBAI, {})
            with pytest.raises(BackendError, match="is disabled already"):
                await two.apply("outage", MUMBAI, {})
            assert estate.stand.is_on()

    asyncio.run(scenario())
