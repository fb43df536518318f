"""The lock of an environment, in a real Alertmanager: whose clock it goes by, who has it, and when it is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.clients.live_servers import free_port, running
from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.drills.sites import live_lock as drill_lock
from tiercli.drills.sites.live_lock import LOCK_ALERT, locked
from tiercli.errors import BackendError
from tiercli.sandbox.stack.binaries import StackBinaries

pytestmark = pytest.mark.stack

HELD = {"alertname": LOCK_ALERT, "estate": "e", "env": "v"}


@pytest.fixture(scope="module")
def url(stack: StackBinaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n", encoding="utf-8"
    )
    port = free_port()
    argv = [str(stack.alertmanager.path), f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    with running(argv, folder, f"http://127.0.0.1:{port}/-/ready"):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("ahead_s", [0.0, -0.9, 0.9, -8.0, 8.0])
def test_the_lock_is_kept_whatever_our_clock_says(url: str, monkeypatch: pytest.MonkeyPatch, ahead_s: float) -> None:
    real = time.time
    monkeypatch.setattr(drill_lock.time, "time", lambda: real() + ahead_s)

    async def scenario() -> None:
        async with AlertmanagerClient(url) as client:
            async with locked(client, "e", "v", "a-drill") as lock:
                await asyncio.sleep(1.1)
                for _ in range(3):
                    await lock._renew()  # what keep() does every few seconds
                    await asyncio.sleep(0.3)
                assert len(await client.silences(HELD)) == 1
                with pytest.raises(BackendError, match="another drill runs in this environment: the drill a-drill"):
                    async with locked(client, "e", "v", "another"):
                        raise AssertionError("two have it")
                async with locked(client, "e", "elsewhere", "another"):
                    pass
            assert await client.silences(HELD) == []

    asyncio.run(scenario())


def test_of_many_that_ask_at_once_one_has_it(url: str) -> None:
    async def ask(number: int) -> bool:
        async with AlertmanagerClient(url) as client:
            try:
                async with locked(client, "e", "crowd", f"drill-{number}"):
                    await asyncio.sleep(1)
            except BackendError:
                return False
            return True

    async def scenario() -> list[bool]:
        return await asyncio.gather(*(ask(number) for number in range(8)))

    assert sum(asyncio.run(scenario())) == 1


def test_a_lock_that_somebody_ended_is_lost(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_lock, "LEASE_S", 3.0)

    async def scenario() -> None:
        async with AlertmanagerClient(url) as client, locked(client, "e", "ended", "a-drill") as lock:
            [silence] = await client.silences(HELD | {"env": "ended"})
            await client.end_silence(silence.id)
            with pytest.raises(BackendError, match="the lock of this environment was lost"):
                await lock.keep()
            assert await client.silences(HELD | {"env": "ended"}) == []

    asyncio.run(scenario())
