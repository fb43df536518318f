"""The webhook receiver: where a sandbox's Alertmanager delivers, one path a receiver."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from aiohttp import web

from tiercli.sandbox.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Notification:
    """One alert of a webhook payload, and when it arrived (Unix seconds)."""

    at: float
    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    group_key: str


class WebhookReceiver:
    """An async context manager: listens on loopback and calls `on_notification` for each alert that arrives."""

    def __init__(self, port: int, on_notification: Callable[[Notification], None]) -> None:
        self.port = port
        self.malformed = 0
        self._on_notification = on_notification
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_post("/{receiver}", self._receive)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self.port, reuse_address=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        at = time.time()
        try:
            payload = await request.json()
            arrived = [
                Notification(
                    at,
                    request.match_info["receiver"],
                    str(alert["status"]),
                    {str(name): str(value) for name, value in alert["labels"].items()},
                    {str(name): str(value) for name, value in alert.get("annotations", {}).items()},
                    str(payload.get("groupKey", "")),
                )
                for alert in payload["alerts"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            self.malformed += 1
            return web.Response(status=400, text="not an Alertmanager webhook payload\n")
        for notification in arrived:
            self._on_notification(notification)
        return web.Response()
