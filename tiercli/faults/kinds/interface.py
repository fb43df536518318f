"""What a fault is.

A fault of the proxy has one required method, `exchange`: it takes a request, and may wait, answer itself, pass the request on,
or break the connection. All else is optional, as an interface of its own (HoldsListener). A fault of another injector has no code
here, only a name and settings, so that a drill that names it can be checked.

This module and the faults import no HTTP library: a drill's spec is checked without one.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# Who causes a fault: the fault proxy; the supervisor of processes; more load; the simulated gateway, for what no network and no
# load can cause.
Injector = Literal["proxy", "process", "load", "gateway"]
ROUTE_LABELS = ("provider", "region", "tier", "server")
# Of the routes of scrapes: gateway, servers or gpus, and which server's.
SCRAPE_LABELS = ("scrape", "server")
CALL_LABELS = ("alias", "tenant", "feature")


Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class FaultSettings(BaseModel):
    """The base of every fault's settings: immutable, and an unknown key is an error. Itself it is for faults without settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShareSettings(FaultSettings):
    """The base for a fault that hits a `share` of the calls, 0 to 1; the same `seed` hits the same calls."""

    share: Share = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request that a route received. `received_at`: seconds of the event loop's clock."""

    method: str
    path: str
    received_at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client. `headers` are end-to-end headers; `body` yields it piece by piece, unbuffered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: AsyncIterator[bytes]

    @property
    def streams(self) -> bool:
        """Whether this is a stream of server-sent events."""
        return any(
            name.lower() == "content-type" and value.startswith("text/event-stream") for name, value in self.headers
        )

    def with_body(self, body: AsyncIterator[bytes]) -> Answer:
        """This answer with another body."""
        return replace(self, body=body)


def error_answer(status: int, code: str, message: str, retry_after: int | None = None) -> Answer:
    """An error as providers of chat completions write it."""
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    if retry_after is not None:
        headers = (*headers, ("retry-after", str(retry_after)))
    error = {"message": message, "type": code, "code": code}
    return Answer(status, headers, _one_piece(json.dumps({"error": error}).encode()))


async def _one_piece(content: bytes) -> AsyncIterator[bytes]:
    yield content


class BrokenOff(Exception):
    """Raised by a fault to reset the client's connection without an answer."""


Forward = Callable[[], Awaitable[Answer]]


class Fault(Protocol):
    """A fault that the proxy injects while it is on."""

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """The answer to `call`. `await forward()` gives what would have come without this fault. Raises BrokenOff."""


class Listener(Protocol):
    """A route's listening socket, for a fault of connections. Each `refuse` is undone by one `accept`."""

    @property
    def address(self) -> str:
        """host:port."""

    async def refuse(self) -> None:
        """Refuse new connections (ECONNREFUSED) and reset those that are open. The port stays reserved."""

    async def accept(self) -> None:
        """Accept connections again, once no other fault refuses them."""


@runtime_checkable
class HoldsListener(Protocol):
    """Optional: a fault of connections rather than of calls."""

    async def applied(self, listener: Listener) -> None:
        """The fault is on for this route."""

    async def cleared(self, listener: Listener) -> None:
        """The fault is off for this route."""


class RefusesConnections:
    """The base of a fault that closes the listener while it is on, where `refuses`."""

    def __init__(self, refuses: bool) -> None:
        self._refuses = refuses

    async def applied(self, listener: Listener) -> None:
        """Close the listener."""
        if self._refuses:
            await listener.refuse()

    async def cleared(self, listener: Listener) -> None:
        """Open it again."""
        if self._refuses:
            await listener.accept()


S = TypeVar("S", bound=FaultSettings)
ShareS = TypeVar("ShareS", bound=ShareSettings)


class HitsAShare(Generic[ShareS]):
    """The base of a fault with ShareSettings."""

    def __init__(self, settings: ShareS) -> None:
        self._settings = settings
        self._random = random.Random(settings.seed)  # noqa: S311 - a simulation

    def hits(self) -> bool:
        """Draw whether the fault hits this call."""
        return self._random.random() < self._settings.share


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind(Generic[S]):
    """A fault that a drill can name: who injects it, what its target and settings may be, and what makes it.

    `build` is None where the injector is not the proxy. `wire`: the only wire format whose answers it changes. `fails`: the share of the
    calls that it lets fail, of its settings; None where they are answered."""

    name: str
    summary: str
    injector: Injector = "proxy"
    target_labels: tuple[str, ...] = ROUTE_LABELS
    settings: type[S]
    build: Callable[[S], Fault] | None = None
    wire: str | None = None
    fails: Callable[[S], float] | None = None

    def check_settings(self, settings: Mapping[str, Any]) -> list[str]:
        """A sentence for each mistake in `settings`."""
        try:
            self.settings.model_validate(dict(settings))
        except ValidationError as error:
            accepted = ", ".join(self.settings.model_fields) or "no settings"
            return [f"{_mistake(item)} (accepted: {accepted})" for item in error.errors(include_url=False)]
        return []


def _mistake(item: Mapping[str, Any]) -> str:
    place = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        return f"unknown setting {place!r}"
    message = str(item["msg"]).removeprefix("Value error, ")
    if not place:
        return message
    return f"{place}: {message}" if item["type"] == "missing" else f"{place}: {message}, found {item['input']!r}"
