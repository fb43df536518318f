"""The client of the simulated gateway's conditions: set at every instance, renewed, cleared."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Self

import httpx

from tiercli.errors import BackendError, BackendUnreachable, FaultNotReverted
from tiercli.faults.proxy.client import LEASE_S

_TIMEOUT_S = 3.0


class ConditionControl:
    """Steers the gateway's instances. An async context manager; leaving it clears what it set. The caller renews."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        self._set: dict[str, Mapping[str, Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            for name in list(self._set):
                await self.clear(name)
        finally:
            await self._client.aclose()

    async def apply(self, fault: str, target: Mapping[str, str], settings: Mapping[str, Any]) -> str:
        """Set a condition at every instance; its name. Raises BackendError."""
        name = f"{fault}-{secrets.token_hex(4)}"
        self._set[name] = {"fault": fault, "target": dict(target), "settings": dict(settings), "lease_s": LEASE_S}
        for url in self._urls:
            answer = await self._ask("PUT", url, name, self._set[name])
            if answer.status_code != 204:
                raise BackendError(f"the gateway at {url} refuses the condition {name}: {answer.text}")
        return name

    async def renew_all(self) -> None:
        """Begin every lease anew. Raises BackendError where one has ended already."""
        for name in list(self._set):
            for url in self._urls:
                answer = await self._ask("POST", url, name, {"lease_s": LEASE_S})
                if name not in self._set:  # cleared while others were asked
                    break
                if answer.status_code != 204:
                    del self._set[name]
                    raise BackendError(
                        f"the condition {name} ended by itself: its lease of {LEASE_S:g} s was not renewed in time"
                    )

    async def clear(self, name: str) -> None:
        """End a condition everywhere. Raises FaultNotReverted where that is not confirmed."""
        self._set.pop(name, None)
        for url in self._urls:
            try:
                answer = await self._client.delete(f"{url}/simulation/conditions/{name}")
                said = "" if answer.status_code == 204 else f"HTTP {answer.status_code}"
            except httpx.HTTPError as error:
                said = str(error) or type(error).__name__
            if said:
                hint = f"it ends by itself {LEASE_S:g} s after its last renewal"
                raise FaultNotReverted(f"the condition {name} may still be on at {url}: {said}", hint=hint)

    async def _ask(self, method: str, url: str, name: str, body: Mapping[str, Any]) -> httpx.Response:
        try:
            return await self._client.request(method, f"{url}/simulation/conditions/{name}", json=body)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise BackendUnreachable(f"the gateway at {url} does not answer: {said}") from error
