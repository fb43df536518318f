"""The webhook receiver: what a real Alertmanager delivers to it, and what is none of its payloads."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from waiting import eventually

from tiercli.errors import BackendError
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.receiver import Notification, WebhookReceiver
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.sandbox.stack.servers import Addresses, alertmanager_command
from tiercli.sidecar.supervisor import ProcessSpec, Supervisor

HOSTILE = "q\"uo'te \\back {{ $1 }} ☃"
ALERT: dict[str, Any] = {"status": "firing", "labels": {"alertname": "A"}, "annotations": {"summary": "s"}}
PAYLOAD: dict[str, Any] = {"version": "4", "groupKey": "{}", "groupLabels": {}, "receiver": "r", "alerts": [ALERT]}


def changed(**entries: Any) -> bytes:
    return json.dumps(PAYLOAD | entries).encode()


def test_alertmanager_s_own_notifications_arrive_one_an_alert(stack: StackBinaries, tmp_path: Path) -> None:
    async def run() -> tuple[list[Notification], int]:
        arrived: list[Notification] = []
        with PortAllocator() as allocate:
            addresses = Addresses(0, allocate(), allocate())
            config = {
                "route": {"receiver": "team", "group_by": ["tenant"], "group_wait": "0s", "group_interval": "1s"},
                "receivers": [
                    {"name": "team", "webhook_configs": [{"url": f"{addresses.receiver_url}/platform-pager"}]}
                ],
            }
            file = tmp_path / "alertmanager.yml"
            file.write_text(yaml.safe_dump(config))
            command = alertmanager_command(stack.alertmanager.path, file, tmp_path / "data", addresses.alertmanager)
            async with (
                Supervisor() as supervisor,
                WebhookReceiver(addresses.receiver, arrived.append) as receiver,
                aiohttp.ClientSession(addresses.alertmanager_url) as client,
            ):
                await supervisor.start(ProcessSpec("alertmanager", command, tmp_path / "log"))

                async def post(**times: str) -> bool:
                    labels = [{"alertname": name, "tenant": HOSTILE} for name in ("A", "B")]
                    alerts = [{"labels": one, "annotations": {"summary": HOSTILE}} | times for one in labels]
                    try:
                        async with client.post("/api/v2/alerts", json=alerts) as answer:
                            return answer.status == 200
                    except aiohttp.ClientError:
                        return False

                async def told(status: str) -> bool:
                    return {one.labels["alertname"] for one in arrived if one.status == status} == {"A", "B"}

                await eventually(post)
                await eventually(lambda: told("firing"))
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                assert await post(startsAt="2020-01-01T00:00:00Z", endsAt=now)
                await eventually(lambda: told("resolved"))
                return arrived, receiver.malformed

    began = time.time()
    arrived, malformed = asyncio.run(run())
    assert malformed == 0
    for notification in arrived:
        assert notification.receiver == "platform-pager"
        assert notification.labels["tenant"] == HOSTILE
        assert notification.annotations == {"summary": HOSTILE}
        assert "tenant" in notification.group_key
        assert notification.group_labels == {"tenant": HOSTILE}
        assert notification.named == "team"
        assert began <= notification.at <= time.time()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(changed(version="3"), id="a payload of another version"),
        pytest.param(changed(alerts=None), id="no alerts"),
        pytest.param(changed(groupLabels=None), id="no labels of its group"),
        pytest.param(changed(alerts=[ALERT, 3]), id="an alert that is a number"),
        pytest.param(changed(alerts=[ALERT | {"labels": []}]), id="labels that are a list"),
        pytest.param(changed(alerts=[ALERT | {"status": "pending"}]), id="a status that no alert has here"),
        pytest.param(json.dumps({"version": "4", "alerts": [ALERT]}).encode(), id="no group"),
        pytest.param(b" " * (9 * 1024 * 1024), id="more than any payload"),
    ],
)
def test_what_is_no_payload_is_refused_and_counted(body: bytes) -> None:
    async def run() -> None:
        arrived: list[Notification] = []
        with PortAllocator() as allocate:
            async with (
                WebhookReceiver(allocate(), arrived.append) as receiver,
                aiohttp.ClientSession(f"http://127.0.0.1:{receiver.port}") as client,
            ):
                async with client.post("/team", data=io.BytesIO(body)) as answer:
                    assert answer.status == 400
                assert (receiver.malformed, arrived) == (1, [])
                async with client.post("/team", data=changed()) as answer:
                    assert answer.status == 200
                assert (receiver.malformed, len(arrived)) == (1, 1)

    asyncio.run(run())


def test_a_port_that_is_taken_is_named() -> None:
    async def run(port: int) -> None:
        async with WebhookReceiver(port, print):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BackendError, match=f"cannot listen on 127.0.0.1:{port}"):
            asyncio.run(run(port))
