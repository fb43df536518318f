"""Free ports on loopback, kept free for whoever is told to listen on them.

Each port stays bound, not listening, until its allocator is closed. A program that sets SO_REUSEADDR, as servers do, can
listen on it beside that; nobody else is given it meanwhile: neither another allocator nor an outgoing connection, which
a loaded sandbox opens by the thousand while its gateway is down for a moment.
"""

from __future__ import annotations

import socket
from typing import Self

from tiercli.errors import BackendError, InvalidInput
from tiercli.serving import LOOPBACK

_HINT = "leave it out to take any free port"


class PortAllocator:
    """A context manager that hands out ports, each once, and keeps them until it ends."""

    def __init__(self) -> None:
        self._kept: dict[int, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self) -> int:
        """A free port. Raises BackendError when there is none."""
        return self._keep(0, "any free port cannot be had")

    def claim(self, port: int, what: str) -> int:
        """`port`, asked for `what` by number. Raises InvalidInput for no port number, BackendError when it is taken."""
        if not 1 <= port <= 65_535:
            raise InvalidInput(f"{port}, asked for {what}, is not a port: 1 to 65535 are", hint=_HINT)
        if port in self._kept:
            raise InvalidInput(f"port {port} is asked for {what} and for something else", hint=_HINT)
        said = f"port {port}, asked for {what}, cannot be used"
        _check_nobody_listens(port, said)
        return self._keep(port, said)

    def close(self) -> None:
        """Give every port back."""
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()

    def _keep(self, port: int, said: str) -> int:
        reserved = _bind(port, said)
        port = int(reserved.getsockname()[1])
        self._kept[port] = reserved
        return port


def _bind(port: int, said: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((LOOPBACK, port))
    except OSError as error:
        opened.close()
        raise BackendError(f"{said}: {(error.strerror or str(error)).lower()}", hint=_HINT) from error
    return opened


def _check_nobody_listens(port: int, said: str) -> None:
    """Listening fails beside another that listens, binding alone need not."""
    with _bind(port, said) as probe:
        try:
            probe.listen()
        except OSError as error:
            raise BackendError(f"{said}: {(error.strerror or str(error)).lower()}", hint=_HINT) from error
