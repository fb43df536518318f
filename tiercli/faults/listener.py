"""A route's listening socket: opened, closed with its connections reset, and opened again on the same port."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from tiercli.errors import BackendError
from tiercli.faults.forwarding import reset

_BACKLOG = 1024


class RouteListener:
    """Listens on a loopback port for a server. Between `refuse` and `accept`, connecting gives ECONNREFUSED, while a
    second socket, bound and not listening, keeps the port from anybody else."""

    def __init__(self, server: web.Server, port: int) -> None:
        self._server = server
        if port:
            _bind(port, shared=False).close()  # a shared bind would not see another proxy that listens there
        self._keeper = _bind(port)
        self._listening: asyncio.Server | None = None
        self._refusals = 0
        self._lock = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port; given by the system where 0 was asked for."""
        return int(self._keeper.getsockname()[1])

    async def open(self) -> None:
        """Begin to accept connections."""
        async with self._lock:
            await self._listen()

    async def refuse(self) -> None:
        """Refuse new connections and reset those that are open."""
        async with self._lock:
            self._refusals += 1
            self._stop()

    async def accept(self) -> None:
        """Undo one `refuse`; with the last one undone, accept connections again."""
        async with self._lock:
            self._refusals -= 1
            if self._refusals == 0:
                await self._listen()

    async def close(self) -> None:
        """Stop for good and give the port back."""
        async with self._lock:
            self._stop()
            self._keeper.close()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._server, sock=_bind(self.port), backlog=_BACKLOG)

    def _stop(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for connection in self._server.connections:
            reset(connection.transport)


def _bind(port: int, *, shared: bool = True) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise BackendError(
            f"cannot listen on 127.0.0.1:{port}: {error.strerror}", hint="another program has it"
        ) from error
    listener.setblocking(False)
    return listener
