"""Free ports on loopback."""

from __future__ import annotations

import socket

from tiercli.errors import BackendError

LOOPBACK = "127.0.0.1"


class PortAllocator:
    """Hands out ports that are free now, each once."""

    def __init__(self) -> None:
        self._given: set[int] = set()

    def __call__(self) -> int:
        """A free port that this allocator has not given before."""
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.bind((LOOPBACK, 0))
                port = int(probe.getsockname()[1])
            if port not in self._given:
                self._given.add(port)
                return port

    def claim(self, port: int, what: str) -> int:
        """`port`, asked for by name. Raises BackendError when something listens there already."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                said = f"port {port}, asked for {what}, cannot be used: {(error.strerror or str(error)).lower()}"
                raise BackendError(said, hint="leave it out to take any free port") from error
        self._given.add(port)
        return port
