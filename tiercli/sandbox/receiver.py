"""The webhook receiver: Alertmanager delivers to it, each receiver to a path of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tiercli.serving import LOOPBACK, listen

PAYLOAD_VERSION = "4"  # Alertmanager's, since 0.8
_LARGEST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Notification:
    """One alert of a webhook payload, and when it arrived (Unix seconds). `receiver`: the path where it arrived; `named`: the
    receiver in the payload."""

    at: float
    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    group_key: str
    group_labels: Mapping[str, str]
    named: str


class WebhookReceiver:
    """An async context manager: listens, and calls `on_notification` for each alert that arrives.

    `malformed` counts requests that are not payloads; the answer is 400, after which Alertmanager does not send them again.
    """

    def __init__(self, port: int, on_notification: Callable[[Notification], None], host: str = LOOPBACK) -> None:
        self.port = port
        self._host = host
        self.malformed = 0
        self._on_notification = on_notification
        self._application = web.Application(client_max_size=_LARGEST_BYTES)
        self._application.router.add_post("/{receiver}", self._receive)

    async def __aenter__(self) -> Self:
        """Listen. Raises BackendError if the port is taken."""
        self._runner = await listen(self._application, self.port, self._host)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        at = time.time()
        try:
            arrived = list(_notifications(at, request.match_info["receiver"], await request.json()))
        except (ValueError, KeyError, TypeError, AttributeError, web.HTTPRequestEntityTooLarge):
            self.malformed += 1
            return web.Response(status=400, text="not an Alertmanager webhook payload\n")
        for notification in arrived:
            self._on_notification(notification)
        return web.Response()


def _notifications(at: float, receiver: str, payload: Any) -> Iterator[Notification]:
    """The alerts of a payload. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    if payload["version"] != PAYLOAD_VERSION:
        raise ValueError(payload["version"])
    for alert in payload["alerts"]:
        if alert["status"] not in ("firing", "resolved"):
            raise ValueError(alert["status"])
        yield Notification(
            at=at,
            receiver=receiver,
            status=alert["status"],
            labels={str(name): str(value) for name, value in alert["labels"].items()},
            annotations={str(name): str(value) for name, value in alert.get("annotations", {}).items()},
            group_key=str(payload["groupKey"]),
            group_labels={str(name): str(value) for name, value in payload["groupLabels"].items()},
            named=str(payload["receiver"]),
        )
