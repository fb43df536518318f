"""The fault proxy: `python -m tiercli.faults.proxy PLAN`. One listener a route, and a control API of its own.

    PUT    /faults/{id}         {"fault": …, "target": {…}, "settings": {…}, "lease_s": N}   on, or on again
    POST   /faults/{id}/renew   {"lease_s": N}
    DELETE /faults/{id}
    GET    /faults, GET /health

Every call but /health carries the token. A fault whose lease is not renewed ends by itself.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tiercli.faults import FAULTS_BY_NAME
from tiercli.faults.route import Route, RoutePlan

_CHECK_LEASES_S = 0.1
LONGEST_LEASE_S = 300.0


@dataclass(slots=True)
class _Applied:
    fault: str
    target: dict[str, str]
    settings: dict[str, Any]
    routes: list[Route]
    ends_at: float


class FaultProxy:
    """Routes and what is on for them. `start` and `close` it from a running loop."""

    def __init__(self, routes: Sequence[RoutePlan], control_port: int, token: str) -> None:
        self._plans = routes
        self._control_port = control_port
        self._token = token
        self._routes: list[Route] = []
        self._applied: dict[str, _Applied] = {}
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._leases: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen on every route and on the control port."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        for plan in self._plans:
            route = Route(plan, self._session)
            await route.settle()
            self._routes.append(route)
        app = web.Application(middlewares=[self._authorise])
        app.router.add_get("/health", self._health)
        app.router.add_get("/faults", self._list)
        app.router.add_put("/faults/{id}", self._apply)
        app.router.add_post("/faults/{id}/renew", self._renew)
        app.router.add_delete("/faults/{id}", self._clear)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._control_port).start()
        self._leases = asyncio.create_task(self._end_leases())

    async def close(self) -> None:
        """Stop everything."""
        if self._leases is not None:
            self._leases.cancel()
        for route in self._routes:
            await route.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    @web.middleware
    async def _authorise(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path != "/health" and not hmac.compare_digest(given.encode(), self._token.encode()):
            return _said(401, "the token is missing or wrong")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _list(self, _: web.Request) -> web.Response:
        now = time.monotonic()
        return web.json_response(
            {
                identity: {
                    "fault": one.fault,
                    "target": one.target,
                    "settings": one.settings,
                    "routes": [route.plan.name for route in one.routes],
                    "lease_s": round(one.ends_at - now, 3),
                }
                for identity, one in self._applied.items()
            }
        )

    async def _apply(self, request: web.Request) -> web.Response:
        identity = request.match_info["id"]
        try:
            body = await request.json()
            fault, target, settings = str(body["fault"]), dict(body["target"]), dict(body.get("settings") or {})
            lease_s = float(body["lease_s"])
        except (ValueError, KeyError, TypeError):
            return _said(422, "expected fault, target, lease_s and perhaps settings")
        kind = FAULTS_BY_NAME.get(fault)
        if kind is None or kind.make is None:
            known = ", ".join(name for name, one in FAULTS_BY_NAME.items() if one.make is not None)
            return _said(422, f"unknown fault {fault!r}; known here: {known}")
        problems = kind.check_settings(settings)
        if problems:
            return _said(422, "; ".join(problems))
        if not 0 < lease_s <= LONGEST_LEASE_S:
            return _said(422, f"lease_s must lie between 0 and {LONGEST_LEASE_S:g}")
        routes = [route for route in self._routes if all(route.plan.labels.get(k) == v for k, v in target.items())]
        if not routes:
            return _said(422, f"no route matches {target}; routes: {', '.join(r.plan.name for r in self._routes)}")
        await self._end(identity)
        self._applied[identity] = _Applied(fault, target, settings, routes, time.monotonic() + lease_s)
        for route in routes:
            route.faults[identity] = kind.build(settings)
            await route.settle()
        return web.json_response({"routes": [route.plan.name for route in routes]})

    async def _renew(self, request: web.Request) -> web.Response:
        applied = self._applied.get(request.match_info["id"])
        if applied is None:
            return _said(404, "no such fault is on; its lease may have ended")
        try:
            lease_s = float((await request.json())["lease_s"])
        except (ValueError, KeyError, TypeError):
            return _said(422, "expected lease_s")
        applied.ends_at = time.monotonic() + min(lease_s, LONGEST_LEASE_S)
        return web.json_response({})

    async def _clear(self, request: web.Request) -> web.Response:
        await self._end(request.match_info["id"])
        return web.json_response({})

    async def _end(self, identity: str) -> None:
        applied = self._applied.pop(identity, None)
        for route in applied.routes if applied else ():
            route.faults.pop(identity, None)
            await route.settle()

    async def _end_leases(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_LEASES_S)
            now = time.monotonic()
            for identity in [identity for identity, one in self._applied.items() if one.ends_at <= now]:
                await self._end(identity)


def _said(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


async def serve(path: Path) -> None:
    """Serve the proxy of a plan: a JSON file with routes, control_port and token_file."""
    plan = json.loads(path.read_text(encoding="utf-8"))
    token = Path(plan["token_file"]).read_text(encoding="utf-8").strip()
    routes = [RoutePlan(one["name"], one["port"], one["upstream"], one["labels"]) for one in plan["routes"]]
    proxy = FaultProxy(routes, plan["control_port"], token)
    await proxy.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
