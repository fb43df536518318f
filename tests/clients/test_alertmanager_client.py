"""The client of Alertmanager against a real alertmanager."""

from __future__ import annotations

import asyncio
import time

import pytest

from tiercli.clients.alertmanager import AlertmanagerClient, GettableAlert
from tiercli.errors import BackendUnreachable

pytestmark = pytest.mark.stack


def alerts(url: str) -> dict[str, GettableAlert]:
    async def asked() -> list[GettableAlert]:
        async with AlertmanagerClient(url) as client:
            assert await client.ready()
            assert (await client.version())[0].isdigit()
            return await client.alerts()

    return {alert.labels["alertname"]: alert for alert in asyncio.run(asked())}


def test_alerts_come_with_their_state_and_with_what_inhibits_them(alertmanager_url: str) -> None:
    found = alerts(alertmanager_url)
    loud, quiet = found["Loud"], found["Quiet"]
    assert (loud.state, loud.inhibited_by, loud.silenced_by) == ("active", (), ())
    assert (quiet.state, quiet.inhibited_by) == ("suppressed", (loud.fingerprint,))
    assert (loud.receivers, loud.annotations) == (("nobody",), {"summary": "Loud"})
    assert loud.ends_at is not None
    assert loud.starts_at < time.time() < loud.ends_at


def test_prometheus_is_not_alertmanager(prometheus_url: str) -> None:
    async def asked() -> None:
        async with AlertmanagerClient(prometheus_url) as client:
            await client.alerts()

    with pytest.raises(BackendUnreachable, match="is not alertmanager"):
        asyncio.run(asked())
