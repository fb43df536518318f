"""Toxiproxy's HTTP API, as far as tiercli looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiercli.clients.http_api import ApiClient
from tiercli.errors import QueryRejected


@dataclass(frozen=True, slots=True)
class ToxiproxyProxy:
    """One proxy as Toxiproxy has it: whether it listens, and the names of its toxics."""

    enabled: bool
    toxics: tuple[str, ...]


class ToxiproxyClient(ApiClient):
    """An async context manager."""

    NAME = "Toxiproxy"

    async def proxies(self) -> Mapping[str, ToxiproxyProxy]:
        """Every proxy, by name. Raises BackendUnreachable, QueryRejected."""
        status, body = await self._exchange("GET", "/proxies")
        if status != 200:
            raise QueryRejected(f"Toxiproxy answered {status}: {_error(body)}")
        with self.reading():
            return {
                str(name): ToxiproxyProxy(bool(one["enabled"]), tuple(str(toxic["name"]) for toxic in one["toxics"]))
                for name, one in body.items()
            }


def _error(body: Any) -> str:
    return str(body.get("error") if isinstance(body, dict) else body)[:300]
