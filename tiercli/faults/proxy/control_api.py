"""The fault proxy's control API: JSON over HTTP, on a port of its own, with a bearer token.

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
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tiercli.errors import InvalidInput, Problem
from tiercli.faults.kinds import FAULTS
from tiercli.faults.kinds.check import check_fault
from tiercli.faults.kinds.interface import ROUTE_LABELS, SCRAPE_LABELS
from tiercli.faults.proxy.leases import LONGEST_LEASE_S, Injection, InjectionPoint, Leases
from tiercli.faults.proxy.routes import Route

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultRequest(BaseModel):
    """The body of PUT /faults/{id}."""

    model_config = ConfigDict(extra="forbid")

    fault: str
    target: dict[str, str] = {}
    settings: dict[str, Any] = {}
    lease_s: Annotated[float, Field(gt=0, le=LONGEST_LEASE_S, allow_inf_nan=False)]


def possible_faults(route: Route) -> list[str]:
    """The faults of the proxy that a route can have: those of calls where calls go by, those of scrapes where scrapes do."""
    label = SCRAPE_LABELS[0] if SCRAPE_LABELS[0] in route.labels else ROUTE_LABELS[0]
    known = [kind.name for kind in FAULTS if kind.build is not None and label in kind.target_labels]
    return [name for name in known if route.faults is None or name in route.faults]


class ControlApi:
    """The control API over `leases`, for the routes of `points`."""

    def __init__(self, token: str, leases: Leases, points: Sequence[tuple[Route, InjectionPoint]]) -> None:
        self._authorization = f"Bearer {token}".encode()
        self._leases = leases
        self._points = points

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(middlewares=[self._authorize])
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
        if request.path != "/health" and not hmac.compare_digest(given, self._authorization):
            return _refusal(401, "the control API wants its bearer token", [])
        return await handler(request)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "faults": len(self._leases.active())})

    async def _list(self, request: web.Request) -> web.Response:
        now = asyncio.get_running_loop().time()
        return web.json_response({"faults": [injection.as_json(now) for injection in self._leases.active()]})

    async def _list_routes(self, request: web.Request) -> web.Response:
        routes = [
            {
                "name": route.name,
                "address": point.listener.address,
                "labels": dict(route.labels),
                "faults": possible_faults(route),
            }
            for route, point in self._points
        ]
        return web.json_response({"routes": routes})

    async def _apply(self, request: web.Request) -> web.Response:
        try:
            asked = FaultRequest.model_validate_json(await request.read())
            injection = self._injection(request.match_info["id"], asked)
        except ValidationError as error:
            said = [f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors()]
            return _refusal(422, "not a fault", [{"found": found} for found in said])
        except InvalidInput as error:
            return _refusal(422, error.message, [_problem(problem) for problem in error.problems])
        await self._leases.apply(injection)
        return web.json_response(injection.as_json(asyncio.get_running_loop().time()), status=201)

    async def _renew(self, request: web.Request) -> web.Response:
        injection = self._leases.renew(request.match_info["id"])
        if injection is None:
            return _refusal(404, f"no fault {request.match_info['id']!r} is on", [])
        return web.json_response(injection.as_json(asyncio.get_running_loop().time()))

    async def _clear(self, request: web.Request) -> web.Response:
        return web.json_response({"cleared": await self._leases.clear(request.match_info["id"])})

    async def _clear_all(self, request: web.Request) -> web.Response:
        await self._leases.clear_all()
        return web.json_response({"cleared": True})

    def _injection(self, name: str, asked: FaultRequest) -> Injection:
        kind, settings = check_fault(asked.fault, asked.target, asked.settings)
        if kind.build is None:
            raise InvalidInput(f"{asked.fault} is injected by the {kind.injector}, not by the fault proxy")
        matching = [(route, point) for route, point in self._points if route.matches(asked.target)]
        unable = [route.name for route, _ in matching if route.faults is not None and asked.fault not in route.faults]
        if unable:
            raise InvalidInput(f"{', '.join(unable)} cannot have the fault {asked.fault}")
        points = [point for _, point in matching]
        if not points:
            routes = "; ".join(
                f"{route.name} ({', '.join(f'{label}={value}' for label, value in route.labels.items())})"
                for route, _ in self._points
            )
            raise InvalidInput(f"the target {asked.target} matches no route; the routes are: {routes}")
        return Injection(name, kind, asked.target, settings, kind.build(settings), points, asked.lease_s)


def _problem(problem: Problem) -> dict[str, str]:
    return {"found": problem.found, "accepted": problem.accepted, "suggestion": problem.suggestion}


def _refusal(status: int, error: str, problems: list[dict[str, str]]) -> web.Response:
    return web.json_response({"error": error, "problems": problems}, status=status)
