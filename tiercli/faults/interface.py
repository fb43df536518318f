"""What a fault is. One required method; the rest is optional, and most faults do without.

class Fault:
    async def on_request(self, exchange) -> Refusal | None    before a request is passed on: wait, or answer in place
    refuses_connections = True                                optional: the route's port stops listening meanwhile
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request on its way through the fault proxy."""

    method: str
    path: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the proxy answers in the upstream's place."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] | None = None


class Fault(Protocol):
    """A fault that is on."""

    async def on_request(self, exchange: Exchange) -> Refusal | None:
        """Called before each request is passed on; it may wait. What it returns is answered in place of the upstream."""


class Settings(BaseModel):
    """The base of a fault's settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault as drills name it. `injector`: who makes it happen; for "process" `make` is None."""

    name: str
    says: str
    injector: Literal["proxy", "process"]
    settings: type[Settings]
    make: Callable[[Any], Fault] | None = None

    def check_settings(self, settings: Mapping[str, Any]) -> list[str]:
        """What is wrong with `settings`, a sentence each; empty when nothing is."""
        try:
            self.settings.model_validate(dict(settings))
        except ValidationError as error:
            accepted = ", ".join(self.settings.model_fields) or "no settings"
            return [
                f"{'.'.join(str(part) for part in one['loc']) or 'settings'}: {one['msg']} (settings: {accepted})"
                for one in error.errors(include_url=False)
            ]
        return []

    def build(self, settings: Mapping[str, Any]) -> Fault:
        """The fault with these settings, which check_settings found sound."""
        if self.make is None:
            raise ValueError(f"the fault {self.name} is not made by the proxy")
        return self.make(self.settings.model_validate(dict(settings)))
