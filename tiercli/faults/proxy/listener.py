"""A route's listening socket: opened, closed with its connections reset, and opened again on the same port."""

from __future__ import annotations

import asyncio
import errno
import socket

from aiohttp import web

from tiercli.errors import BackendError
from tiercli.faults.proxy.forwarding import reset

_BACKLOG = 1024


class RouteListener:
    """Listens on a port for a server. Between `refuse` and `accept`, connecting gives ECONNREFUSED; a second socket, bound and not
    listening, reserves the port meanwhile.

    `stays_open`: connections are accepted even then, so that their calls can be observed; a fault that refuses does not answer
    them."""

    def __init__(self, server: web.Server, host: str, port: int, *, stays_open: bool = False) -> None:
        """Raises BackendError if the address is not available."""
        self._server, self._host, self._stays_open = server, host, stays_open
        if port:
            _bind(host, port, shared=False).close()  # a shared bind would not detect another proxy on the port
        self._reserved = _bind(host, port)
        self._listening: asyncio.Server | None = None
        self._refusals = 0
        self.resets = 0  # how often what was open was reset
        self._lock = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port; the system's choice if it was 0."""
        return int(self._reserved.getsockname()[1])

    @property
    def address(self) -> str:
        """host:port."""
        return f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"

    async def open(self) -> None:
        """Begin to accept connections."""
        async with self._lock:
            await self._listen()

    async def refuse(self) -> None:
        """Refuse new connections and reset those that are open."""
        async with self._lock:
            self._refusals += 1
            if not self._stays_open:
                self._stop_listening()
            self._reset_open()

    async def accept(self) -> None:
        """Undo one `refuse`; after the last one, accept connections again. Raises BackendError or OSError if that fails: then nothing
        is undone, and it can be called again."""
        async with self._lock:
            if self._refusals == 1 and not self._stays_open:
                await self._listen()
            self._refusals -= 1

    async def retire(self) -> None:
        """Accept no new connections; those that are open go on."""
        async with self._lock:
            self._stop_listening()

    async def close(self) -> None:
        """Stop for good, reset what is open, and give the port back."""
        async with self._lock:
            self._stop_listening()
            self._reset_open()
            self._reserved.close()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        sock = _bind(self._host, self.port)
        try:
            self._listening = await loop.create_server(self._server, sock=sock, backlog=_BACKLOG)
        except BaseException:
            sock.close()
            raise

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _reset_open(self) -> None:
        self.resets += 1
        for connection in self._server.connections:
            reset(connection.transport)


def _bind(host: str, port: int, *, shared: bool = True) -> socket.socket:
    listener = None
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = addresses[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise BackendError(f"cannot listen on {host}:{port}: {error.strerror}", hint=_hint(error)) from error
    listener.setblocking(False)
    return listener


def _hint(error: OSError) -> str:
    """What to do about an address that cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return "another program uses it"
    if error.errno == errno.EACCES:
        return "only root can use ports below 1024"
    return "is it an address of this machine?"
