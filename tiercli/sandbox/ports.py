"""Free ports on loopback, reserved for the servers of a sandbox.

Each port stays bound, not listening, until its allocator is closed. A program that sets SO_REUSEADDR, as servers do, can
listen on it meanwhile. The system gives it to nobody else: neither to another allocator nor to an outgoing connection, which a
loaded sandbox opens by the thousand while its gateway restarts.
"""

from __future__ import annotations

import socket
from typing import Self

from tiercli.errors import BackendError, InvalidInput
from tiercli.serving import LOOPBACK

_HINT = "leave it out to take any free port"


class PortAllocator:
    """A context manager that gives ports, each once, and reserves them until it ends."""

    def __init__(self) -> None:
        self._kept: dict[int, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self) -> int:
        """A free port. Raises BackendError if there is none."""
        return self._keep(0, "there is no free port")

    def claim(self, port: int, what: str) -> int:
        """`port`, chosen by number for `what`. Raises InvalidInput if it is not a port number, BackendError if it is taken."""
        if not 1 <= port <= 65_535:
            raise InvalidInput(f"{port} for {what} is not a port: ports are 1 to 65535", hint=_HINT)
        if port in self._kept:
            raise InvalidInput(f"port {port} is used twice: for {what} and for something else", hint=_HINT)
        failure = f"port {port} for {what} cannot be used"
        _check_nobody_listens(port, failure)
        return self._keep(port, failure)

    def close(self) -> None:
        """Give every port back."""
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()

    def _keep(self, port: int, failure: str) -> int:
        reserved = _bind(port, failure)
        port = int(reserved.getsockname()[1])
        self._kept[port] = reserved
        return port


def _bind(port: int, failure: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((LOOPBACK, port))
    except OSError as error:
        opened.close()
        raise BackendError(f"{failure}: {(error.strerror or str(error)).lower()}", hint=_HINT) from error
    return opened


def _check_nobody_listens(port: int, failure: str) -> None:
    """Listening fails beside another that listens, binding alone need not."""
    with _bind(port, failure) as probe:
        try:
            probe.listen()
        except OSError as error:
            raise BackendError(f"{failure}: {(error.strerror or str(error)).lower()}", hint=_HINT) from error
