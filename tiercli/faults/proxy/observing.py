"""How somebody watches the calls of a route: from outside its faults, as the client sees them.

Nothing here holds a call up: each method takes note and returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Protocol

# On a 502 that the proxy gives itself, because the upstream did not: why.
NO_ANSWER_HEADER = "X-Tiercli-Proxy"
UNREACHABLE, TIMED_OUT = "upstream-unreachable", "upstream-timeout"


class Ending(Enum):
    """How an exchange ended."""

    WHOLE = auto()  # the answer was sent to its end
    BROKEN = auto()  # a fault or the upstream broke the connection
    CLIENT_GONE = auto()  # the client hung up first


class Observation(Protocol):
    """One call. `asked`, `answered` once, `passed` and at last `ended`; a call that breaks skips what it did not reach."""

    def asked(self, piece: bytes) -> None:
        """A piece of the request's body."""

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer begins."""

    def passed(self, piece: bytes) -> None:
        """A piece of the answer's body was sent to the client."""

    def ended(self, ending: Ending) -> None:
        """Nothing more comes. Only the first is heeded."""


class Observer(Protocol):
    """Watches a route."""

    def begin(self, method: str, path: str, headers: Mapping[str, str]) -> Observation | None:
        """A request arrives, `path` with its query; None where it is of no interest."""
