"""The control API of faults under leases, of the fault proxy and of the simulated gateway: JSON over HTTP, with a bearer token if
the server has one.

PUT    /faults/{id}         {fault, target, settings, lease_s}    201: on; again: replaced
POST   /faults/{id}/renew                                         200; 404: it is not on any more
DELETE /faults/{id}                                               200, {"cleared": true or false}
DELETE /faults                                                    200: everything off
GET    /faults                                                    200, {"faults": […]}
GET    /routes                                                    200, {"routes": [{name, address, labels, faults}, …]}
GET    /health                                                    200, without a token
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tiercli.errors import InvalidInput, Problem
from tiercli.faults.proxy.leases import LONGEST_LEASE_S, L, Leases

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultRequest(BaseModel):
    """The body of PUT /faults/{id}."""

    model_config = ConfigDict(extra="forbid")

    fault: str
    target: dict[str, str] = {}
    settings: dict[str, Any] = {}
    lease_s: Annotated[float, Field(gt=0, le=LONGEST_LEASE_S, allow_inf_nan=False)]


class ControlApi(Generic[L]):
    """The control API over `leases`. `make` gives the lease of an id and a request, and raises InvalidInput if it
    cannot be; `routes` lists what a target can name."""

    def __init__(
        self,
        leases: Leases[L],
        make: Callable[[str, FaultRequest], L],
        *,
        token: str | None = None,
        routes: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        self._authorization = None if token is None else f"Bearer {token}".encode()
        self._leases, self._make, self._routes = leases, make, routes

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(middlewares=[] if self._authorization is None else [self._authorize])
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/faults", self._list),
                web.get("/routes", self._list_routes),
                web.delete("/faults", self._clear_all),
                web.put("/faults/{id}", self._apply),
                web.post("/faults/{id}/renew", self._renew),
                web.delete("/faults/{id}", self._clear),
            ]
        )
        return application

    @web.middleware
    async def _authorize(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="replace")
        if request.path != "/health" and not hmac.compare_digest(given, self._authorization or b""):
            return _refusal(401, "the control API needs its bearer token", [])
        return await handler(request)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "faults": len(self._leases.active())})

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"faults": [lease.as_json(_now()) for lease in self._leases.active()]})

    async def _list_routes(self, request: web.Request) -> web.Response:
        return web.json_response({"routes": self._routes()})

    async def _apply(self, request: web.Request) -> web.Response:
        try:
            lease = self._make(request.match_info["id"], FaultRequest.model_validate_json(await request.read()))
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors()]
            return _refusal(422, "not a fault", [{"found": problem} for problem in problems])
        except InvalidInput as error:
            return _refusal(422, error.message, [_problem(problem) for problem in error.problems])
        await self._leases.apply(lease)
        return web.json_response(lease.as_json(_now()), status=201)

    async def _renew(self, request: web.Request) -> web.Response:
        lease = self._leases.renew(request.match_info["id"])
        if lease is None:
            return _refusal(404, f"no fault {request.match_info['id']!r} is on", [])
        return web.json_response(lease.as_json(_now()))

    async def _clear(self, request: web.Request) -> web.Response:
        return web.json_response({"cleared": await self._leases.clear(request.match_info["id"])})

    async def _clear_all(self, request: web.Request) -> web.Response:
        await self._leases.clear_all()
        return web.json_response({"cleared": True})


def _now() -> float:
    return asyncio.get_running_loop().time()


def _problem(problem: Problem) -> dict[str, str]:
    return {"found": problem.found, "accepted": problem.accepted, "suggestion": problem.suggestion}


def _refusal(status: int, error: str, problems: list[dict[str, str]]) -> web.Response:
    return web.json_response({"error": error, "problems": problems}, status=status)
