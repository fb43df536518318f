"""How the calls of a route are observed: outside of its faults, as the client sees them.

Nothing here delays a call: each method takes note and returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Protocol

# On a 502 of the proxy itself: why the upstream did not answer.
NO_ANSWER_HEADER = "X-Tiercli-Proxy"
UNREACHABLE, TIMED_OUT = "upstream-unreachable", "upstream-timeout"


class Ending(Enum):
    """How an exchange ended."""

    WHOLE = auto()  # the answer was sent to its end
    BROKEN = auto()  # a fault or the upstream broke the connection
    CLIENT_GONE = auto()  # the client hung up first


class Observation(Protocol):
    """One call. The methods are called in their order, the pieces many times; a call that breaks skips what it did not reach."""

    def request_piece(self, piece: bytes) -> None:
        """A piece of the request's body."""

    def response_started(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer begins."""

    def response_piece(self, piece: bytes) -> None:
        """A piece of the answer's body was sent to the client."""

    def ended(self, ending: Ending) -> None:
        """The exchange is over. Only the first call counts."""


class Observer(Protocol):
    """Observes a route."""

    def begin(self, method: str, path: str, headers: Mapping[str, str]) -> Observation | None:
        """A request arrives, `path` with its query; None if it is not observed."""
