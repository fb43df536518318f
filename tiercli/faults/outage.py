"""outage: the provider refuses every connection, and resets those that are open."""

from __future__ import annotations

from tiercli.faults.interface import Exchange, FaultKind, Refusal, Settings


class OutageSettings(Settings):
    """None: a refused connection is refused."""


class Outage:
    """While it is on the route's port does not listen, so nothing arrives here but what was under way."""

    refuses_connections = True

    def __init__(self, _: OutageSettings) -> None:
        pass

    async def on_request(self, exchange: Exchange) -> Refusal | None:
        """A request that slipped in while the port closed."""
        return Refusal(503)


OUTAGE = FaultKind(
    "outage", "connections are refused, open ones are reset", injector="proxy", settings=OutageSettings, make=Outage
)
