"""The client of the fault proxy's control API: faults on, renewed while we live, off again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

import httpx

from tiercli.errors import BackendError, BackendUnreachable, FaultNotReverted

LEASE_S = 5.0
RENEW_EVERY_S = 1.0


class FaultControl:
    """An async context manager. Faults that are on are renewed until cleared; leaving it stops renewing."""

    def __init__(self, url: str, token: str, lease_s: float = LEASE_S) -> None:
        self.url = url
        self._lease_s = lease_s
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=3.0, trust_env=False)
        self._on: dict[str, str] = {}
        self._renewer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewer = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewer is not None:
            self._renewer.cancel()
        await self._client.aclose()

    async def apply(
        self, identity: str, fault: str, target: Mapping[str, str], settings: Mapping[str, Any]
    ) -> list[str]:
        """Turn a fault on; the routes that it is on for. Raises BackendError when the proxy refuses or is gone."""
        body = {"fault": fault, "target": dict(target), "settings": dict(settings), "lease_s": self._lease_s}
        try:
            answer = await self._client.put(f"/faults/{identity}", json=body)
        except httpx.HTTPError as error:
            raise BackendUnreachable(f"the fault proxy at {self.url} does not answer: {error}") from error
        if answer.status_code != 201:
            raise BackendError(f"the fault proxy refused {fault}: {_reason(answer)}")
        self._on[identity] = fault
        return [str(route) for route in answer.json().get("routes", ())]

    async def clear(self, identity: str) -> None:
        """Turn a fault off. Raises FaultNotReverted when that cannot be confirmed."""
        fault = self._on.pop(identity, identity)
        said = ""
        for _ in range(3):
            try:
                answer = await self._client.delete(f"/faults/{identity}")
                if answer.status_code == 200:
                    return
                said = f"HTTP {answer.status_code}"
            except httpx.HTTPError as error:
                said = str(error) or type(error).__name__
            await asyncio.sleep(0.2)
        raise FaultNotReverted(
            f"the fault {fault} may still be on: {said}",
            hint=f"its lease ends by itself within {self._lease_s:g} s; by hand: DELETE {self.url}/faults/{identity} with the token",
        )

    async def active(self) -> list[dict[str, Any]]:
        """What is on."""
        try:
            answer = await self._client.get("/faults")
        except httpx.HTTPError as error:
            raise BackendUnreachable(f"the fault proxy at {self.url} does not answer: {error}") from error
        return list(answer.json()["faults"])

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(min(RENEW_EVERY_S, self._lease_s / 4))
            for identity in list(self._on):
                try:
                    await self._client.post(f"/faults/{identity}/renew")
                except httpx.HTTPError:
                    continue  # clear() will say so if it stays away


def _reason(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return "; ".join([str(body["error"]), *(str(problem["found"]) for problem in body.get("problems", ()))])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
