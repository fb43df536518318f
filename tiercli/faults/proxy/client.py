"""The client of a control API of faults: turns them on, renews their leases, turns them off again."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from tiercli.errors import BackendError, BackendUnreachable, FaultNotReverted, InvalidInput, Location, Problem

LEASE_S = 5.0  # long enough for a busy machine to renew it, short enough after a drill that died
ASK_TIMEOUT_S = 3.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class AppliedFault:
    """A fault that the server confirmed to be on, and the names of the routes it is on for."""

    id: str
    fault: str
    target: Mapping[str, str]
    routes: tuple[str, ...]
    lease_s: float


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A route of the proxy: its address (host:port), the labels that a fault's target can name, and the faults it can have."""

    name: str
    address: str
    labels: Mapping[str, str]
    faults: tuple[str, ...]


class FaultControl:
    """Steers one fault proxy, or one instance of the simulated gateway. An async context manager; leaving it clears what it applied.

    The caller renews: nothing here renews in the background, because a lease must end with its caller.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        of: str = "the fault proxy",
        token_file: Path | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """`of` names the server in errors. `token_file`, where the token is kept, is only named by FaultNotReverted: to undo by
        hand."""
        self.url = url
        self._server = f"{of} at {url}"
        header = f'-H "Authorization: Bearer $(cat {token_file or "TOKEN_FILE"})" '
        self._by_hand = f"curl -X DELETE {header if token is not None else ''}{url}/faults/"
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=ASK_TIMEOUT_S,
            trust_env=False,
            verify=verify,
        )
        self._applied: dict[str, AppliedFault] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._applied:
                await self.clear_all()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connection. Faults stay on until their leases end."""
        await self._client.aclose()

    async def apply(
        self,
        fault: str,
        target: Mapping[str, str],
        settings: Mapping[str, Any] | None = None,
        lease_s: float = LEASE_S,
    ) -> AppliedFault:
        """Turn a fault on for every route whose labels include `target`, for `lease_s` seconds unless renewed.

        Raises InvalidInput if the server knows no such fault, setting or target; BackendUnreachable; BackendError."""
        name = f"{fault}-{secrets.token_hex(4)}"
        body = {"fault": fault, "target": dict(target), "settings": dict(settings or {}), "lease_s": lease_s}
        answer = await self._ask("PUT", f"/faults/{name}", body)
        if answer.status_code == 422:
            refusal = _json(answer)
            problems = [
                Problem(Location(fault), item["found"], item.get("accepted", ""), item.get("suggestion", ""))
                for item in refusal.get("problems", [])
            ]
            raise InvalidInput(f"{self._server} refuses {fault}: {refusal.get('error', '')}", problems)
        if answer.status_code != 201:
            raise self._refused(answer)
        applied = AppliedFault(name, fault, dict(target), tuple(_json(answer)["routes"]), lease_s)
        self._applied[name] = applied
        return applied

    async def renew_all(self) -> None:
        """Begin the lease of every fault applied here anew. Raises BackendError if one has ended already,
        BackendUnreachable if the server does not answer."""
        for applied in list(self._applied.values()):
            try:
                answer = await self._ask("POST", f"/faults/{applied.id}/renew")
            except BackendUnreachable:
                # A drill or a server that stood still for a moment loses an answer; the next one says what became of the lease.
                answer = await self._ask("POST", f"/faults/{applied.id}/renew")
            if applied.id not in self._applied:  # cleared meanwhile
                continue
            if answer.status_code == 404:
                del self._applied[applied.id]
                raise BackendError(
                    f"the fault {applied.fault} ended by itself: its lease of {applied.lease_s:g} s was not renewed in time"
                )
            if answer.status_code != 200:
                raise self._refused(answer)

    async def clear(self, applied: AppliedFault) -> None:
        """Turn a fault off; also one that is off already. Raises FaultNotReverted if that is not confirmed."""
        reason = ""
        for _ in range(_TRIES):
            try:
                answer = await self._ask("DELETE", f"/faults/{applied.id}")
            except BackendUnreachable as error:
                reason = error.message
                continue
            if answer.status_code == 200:
                self._applied.pop(applied.id, None)
                return
            reason = f"{self._server} answered {answer.status_code}"
        where = f" on {', '.join(applied.routes)}" if applied.routes else ""
        raise FaultNotReverted(
            f"the fault {applied.fault}{where} may still be on: {reason}",
            hint=f"it ends by itself {applied.lease_s:g} s after its last renewal. By hand: {self._by_hand}{applied.id}",
        )

    async def clear_all(self) -> None:
        """Turn off every fault applied here, the newest first; one that fails does not keep the others on.
        Raises the first FaultNotReverted."""
        failed: FaultNotReverted | None = None
        for applied in reversed(list(self._applied.values())):
            try:
                await self.clear(applied)
            except FaultNotReverted as error:
                failed = failed or error
        if failed is not None:
            raise failed

    async def active(self) -> tuple[AppliedFault, ...]:
        """Every fault that is on at the server, whoever applied it. Raises BackendError, BackendUnreachable."""
        answer = await self._ask("GET", "/faults")
        if answer.status_code != 200:
            raise self._refused(answer)
        return tuple(
            AppliedFault(item["id"], item["fault"], item["target"], tuple(item["routes"]), item["lease_s"])
            for item in _json(answer)["faults"]
        )

    async def routes(self) -> tuple[ProxyRoute, ...]:
        """The routes of the proxy. Raises BackendError, BackendUnreachable."""
        answer = await self._ask("GET", "/routes")
        if answer.status_code != 200:
            raise self._refused(answer)
        try:
            return tuple(
                ProxyRoute(str(item["name"]), str(item["address"]), dict(item["labels"]), tuple(item["faults"]))
                for item in _json(answer)["routes"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BackendUnreachable(f"the server at {self.url} is not a fault proxy") from error

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            return await self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise BackendUnreachable(
                f"{self._server} does not answer: {reason}", hint="is it running, and on this port?"
            ) from error

    def _refused(self, answer: httpx.Response) -> BackendError:
        return BackendError(f"{self._server} answered {answer.status_code}: {_json(answer).get('error', '')}")


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        data = answer.json()
    except json.JSONDecodeError:
        data = None
    return data if isinstance(data, dict) else {"error": answer.text[:200]}
