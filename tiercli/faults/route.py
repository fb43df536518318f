"""One route of the fault proxy: a port, the upstream behind it, and the faults that are on for it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from tiercli.faults.interface import Exchange, Fault

_LOOPBACK = "127.0.0.1"
_BACKLOG = 1024
# Hop-by-hop (RFC 9110, 7.6.1), and what the client library sets itself.
_NOT_PASSED_ON = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
    | {"host", "content-length"}
)


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """Where a route listens, what is behind it, and the labels that a fault's target is matched with."""

    name: str
    port: int
    upstream: str
    labels: Mapping[str, str]


class Route:
    """A listening route. `faults` by id; while one refuses connections the port does not listen, but stays ours."""

    def __init__(self, plan: RoutePlan, session: aiohttp.ClientSession) -> None:
        self.plan = plan
        self.faults: dict[str, Fault] = {}
        self._session = session
        self._handler = web.Server(self._pass_on, access_log=None)
        self._server: asyncio.Server | None = None
        # Bound and never listening: while the listener is closed the kernel refuses connections, and nobody else can
        # take the port.
        self._reserved = self._bound()

    async def settle(self) -> None:
        """Listen or not, as the faults say; open connections are reset when it stops listening."""
        refuses = any(getattr(fault, "refuses_connections", False) for fault in self.faults.values())
        if refuses and self._server is not None:
            self._server.close()
            self._server = None
            self._reset_connections()
        elif not refuses and self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._handler, sock=self._bound(), backlog=_BACKLOG)

    async def close(self) -> None:
        """Stop listening and give the port back."""
        if self._server is not None:
            self._server.close()
        await self._handler.shutdown(0.5)
        self._reserved.close()

    def _bound(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((_LOOPBACK, self.plan.port))
        sock.setblocking(False)
        return sock

    def _reset_connections(self) -> None:
        for connection in list(self._handler.connections):
            transport = connection.transport
            if transport is None:
                continue
            sock = transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
            transport.abort()

    async def _pass_on(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.faults:
            exchange = Exchange(request.method, request.path, self.plan.labels)
            for fault in list(self.faults.values()):
                refusal = await fault.on_request(exchange)
                if refusal is not None:
                    return web.Response(status=refusal.status, body=refusal.body, headers=refusal.headers)
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _NOT_PASSED_ON)
        body = await request.read() if request.can_read_body else None
        url = URL(self.plan.upstream + request.raw_path, encoded=True)
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as upstream:
                return await self._answer(request, upstream)
        except aiohttp.ClientConnectorError:
            return web.Response(status=502, text="the upstream refuses connections\n")
        except (aiohttp.ClientError, TimeoutError):
            # The upstream broke off: so do we, rather than dress it up as an answer.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _answer(self, request: web.BaseRequest, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        headers = CIMultiDict((k, v) for k, v in upstream.headers.items() if k.lower() not in _NOT_PASSED_ON)
        if upstream.content_length is not None and upstream.content_type != "text/event-stream":
            return web.Response(status=upstream.status, body=await upstream.read(), headers=headers)
        response = web.StreamResponse(status=upstream.status, headers=headers)
        await response.prepare(request)
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response
