"""Toxiproxy's HTTP API, as far as tiercli reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiercli.clients.http_api import ApiClient


@dataclass(frozen=True, slots=True)
class ToxiproxyProxy:
    """A proxy of Toxiproxy: whether it listens, and the names of its toxics."""

    enabled: bool
    toxics: tuple[str, ...]


class ToxiproxyClient(ApiClient):
    """An async context manager."""

    NAME = "Toxiproxy"

    async def proxies(self) -> Mapping[str, ToxiproxyProxy]:
        """Every proxy, by name. Raises BackendUnreachable, QueryRejected."""
        answer = await self.get_json("/proxies")
        with self.reading():
            return {
                str(name): ToxiproxyProxy(
                    bool(proxy["enabled"]), tuple(str(toxic["name"]) for toxic in proxy["toxics"])
                )
                for name, proxy in answer.items()
            }
