"""The simulated gateway: `python -m tiercli.sandbox.gateway PLAN [INSTANCE]`.

OpenAI's chat completions where `model` is an alias; headers x-tenant and x-feature say who calls. Falls back down the
alias's candidates, counts the canonical contract, and writes one audit record a call. Small, but what it counts is true.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from tiercli.sandbox.audit_log import AuditLog
from tiercli.sandbox.gateway_metrics import ContractMetrics
from tiercli.sandbox.gateway_routing import Route, Router
from tiercli.sandbox.plan import EstatePlan, PricePlan, load_plan
from tiercli.sandbox.ports import LOOPBACK
from tiercli.signals.contract import FAILURE, SUCCESS

# Errors that another candidate may not have; an invalid request is invalid everywhere.
_FALLS_BACK = frozenset(
    {
        "CONNECTION_FAILED",
        "UPSTREAM_TIMEOUT",
        "UPSTREAM_ERROR",
        "RATE_LIMITED",
        "UPSTREAM_UNCLASSIFIED",
        "POSTCONDITION_FAILED",
    }
)


@dataclass(slots=True)
class Attempt:
    """One try of one candidate, and what came of it. `code` is empty for success."""

    route: Route
    code: str = ""
    body: dict[str, Any] | None = None
    response: web.StreamResponse | None = None
    usage: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(slots=True)
class Call:
    """One client call."""

    alias: str
    tenant: str
    feature: str
    body: dict[str, Any]
    began: float
    attempts: list[Attempt] = field(default_factory=list)


class Gateway:
    """The gateway's state and handlers."""

    def __init__(self, plan: EstatePlan, instance: int = 0) -> None:
        self.plan = plan
        self._aliases = {alias.name for alias in plan.aliases}
        self._tenants = {tenant.name: tenant for tenant in plan.tenants}
        self._prices = {(price.provider, price.model): price for price in plan.prices}
        self.metrics = ContractMetrics()
        self.router = Router(plan)
        self.audit = AuditLog(plan.gateways[instance].audit_log)
        self._session: aiohttp.ClientSession | None = None
        self.metrics.set("ai_gateway_up", 1)
        self.metrics.set("ai_gateway_price_book_info", 1, version=plan.price_book_version)

    def app(self) -> web.Application:
        """The gateway's HTTP surface."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_get("/metrics", self.expose)
        app.router.add_get("/health", self.health)
        app.cleanup_ctx.append(self._client)
        return app

    async def _client(self, _: web.Application) -> Any:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self.plan.gateway_timeout_s, sock_read=self.plan.gateway_timeout_s
        )
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            self._session = session
            yield

    async def health(self, _: web.Request) -> web.Response:
        """GET /health."""
        return web.Response(text="ok\n")

    async def expose(self, _: web.Request) -> web.Response:
        """GET /metrics."""
        for (provider, model, region), quota in self.router.quotas.items():
            labels = {"provider": provider, "model": model, "region": region}
            self.metrics.set("ai_gateway_quota_headroom_ratio", quota.headroom(), **labels)
        return web.Response(body=generate_latest(self.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        began = time.monotonic()
        try:
            body = await request.json()
            alias = body["model"]
        except (ValueError, KeyError, TypeError):
            return _error(400, "INVALID_REQUEST", "not a chat completion request")
        tenant, feature = request.headers.get("x-tenant", ""), request.headers.get("x-feature", "")
        if alias not in self._aliases:
            return _error(404, "INVALID_REQUEST", f"no alias {alias!r}")
        if tenant not in self._tenants:
            return _error(403, "INVALID_REQUEST", "unknown tenant")
        if alias not in self._tenants[tenant].aliases:
            self.metrics.count("ai_gateway_scope_denials_total", tenant=tenant)
            return _error(403, "INVALID_REQUEST", f"{tenant!r} may not call {alias!r}")
        call = Call(alias, tenant, feature, body, began)
        for route in self.router.routes(alias, tenant):
            if call.attempts:
                last = call.attempts[-1]
                labels = {"alias": alias, "from": last.route.name, "to": route.name, "reason": last.code}
                self.metrics.count("ai_gateway_fallbacks_total", **labels)
            attempt = await self._attempt(call, route, request)
            call.attempts.append(attempt)
            self._count_attempt(attempt)
            if not attempt.code or attempt.response is not None or attempt.code not in _FALLS_BACK:
                break
        self._count_call(call)
        return _answer(call)

    async def _attempt(self, call: Call, route: Route, request: web.Request) -> Attempt:
        attempt = Attempt(route)
        began = time.monotonic()
        if not self.router.quota(route).take():
            attempt.code = "RATE_LIMITED"
            return attempt
        assert self._session is not None  # noqa: S101 - set before the first request is served
        url = route.endpoint.url + "/v1/chat/completions"
        body = call.body | {"model": route.model}
        if body.get("stream"):
            body["stream_options"] = {"include_usage": True}
        try:
            async with self._session.post(url, json=body) as upstream:
                attempt.code = _code(upstream.status)
                if attempt.code:
                    await upstream.read()
                elif body.get("stream"):
                    await self._pass_stream(attempt, upstream, request, began)
                else:
                    attempt.body = await upstream.json(content_type=None)
                    attempt.usage = attempt.body["usage"]
                    _ = attempt.body["choices"][0]["message"]["content"]
        except TimeoutError:
            attempt.code = "UPSTREAM_TIMEOUT"
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError):
            attempt.code = "CONNECTION_FAILED"
        except (ValueError, KeyError, TypeError, IndexError):
            attempt.code = "POSTCONDITION_FAILED"
            labels = {"provider": route.provider, "model": route.model, "alias": call.alias}
            self.metrics.count("ai_gateway_postcondition_violations_total", **labels)
        attempt.seconds = time.monotonic() - began
        return attempt

    async def _pass_stream(
        self, attempt: Attempt, upstream: aiohttp.ClientResponse, request: web.Request, began: float
    ) -> None:
        """Pass a stream through. Once its first byte is on its way to the client there is no falling back."""
        done = False
        async for line in upstream.content:
            if attempt.response is None:
                seconds = time.monotonic() - began
                self.metrics.observe("ai_gateway_time_to_first_token_seconds", seconds, **_offer(attempt.route))
                attempt.response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await attempt.response.prepare(request)
            if b'"usage"' in line:
                attempt.usage = json.loads(line.removeprefix(b"data: "))["usage"]
            done = done or line.startswith(b"data: [DONE]")
            await attempt.response.write(line)
        if not done:
            raise aiohttp.ClientPayloadError("the stream ended early")
        if attempt.response is not None:
            await attempt.response.write_eof()

    def _count_attempt(self, attempt: Attempt) -> None:
        offer = _offer(attempt.route)
        status = FAILURE if attempt.code else SUCCESS
        self.metrics.count("ai_gateway_requests_total", **offer, status=status)
        self.metrics.observe("ai_gateway_request_duration_seconds", attempt.seconds, **offer)
        if attempt.code:
            self.metrics.count("ai_gateway_errors_total", **offer, code=attempt.code)
        for direction, key in (("input", "prompt_tokens"), ("output", "completion_tokens")):
            if attempt.usage:
                self.metrics.count("ai_gateway_tokens_total", attempt.usage[key], **offer, direction=direction)
        if not attempt.code and attempt.route.endpoint.tier == "cloud" and self._price(attempt.route) is None:
            self.metrics.count("ai_gateway_unpriced_requests_total", **offer)

    def _count_call(self, call: Call) -> None:
        last = call.attempts[-1] if call.attempts else None
        served = last is not None and not last.code
        region = last.route.region if last else ""
        status = SUCCESS if served else FAILURE
        self.metrics.count("ai_gateway_tenant_requests_total", tenant=call.tenant, region=region, status=status)
        cost = sum(self._cost(attempt) for attempt in call.attempts)
        if served and last is not None:
            step = str(last.route.step)
            self.metrics.count(
                "ai_gateway_alias_requests_total", alias=call.alias, **_offer(last.route), fallback_step=step
            )
            labels = {"tenant": call.tenant, "feature": call.feature, "alias": call.alias}
            self.metrics.count("ai_gateway_cost_usd_total", cost, **labels)
            output = last.usage.get("completion_tokens", 0)
            self.metrics.observe("ai_gateway_response_tokens", output, alias=call.alias, feature=call.feature)
            for direction, key in (("input", "prompt_tokens"), ("output", "completion_tokens")):
                tokens = last.usage.get(key, 0)
                self.metrics.count("ai_gateway_tenant_tokens_total", tokens, tenant=call.tenant, direction=direction)
        if self.audit.write(_audit_record(call, cost, self.plan.price_book_version)):
            self.metrics.count("ai_gateway_audit_records_total")

    def _price(self, route: Route) -> PricePlan | None:
        return self._prices.get((route.provider, route.model))

    def _cost(self, attempt: Attempt) -> float:
        """US dollars by the price book; nothing for the local tier, whose cost is GPU hours and not tokens."""
        price = self._price(attempt.route)
        if price is None:
            return 0.0
        usage = attempt.usage
        return (usage.get("prompt_tokens", 0) * price.input + usage.get("completion_tokens", 0) * price.output) / 1e6


def _offer(route: Route) -> dict[str, str]:
    return {"provider": route.provider, "model": route.model, "region": route.region}


def _code(status: int) -> str:
    if status < 300:
        return ""
    if status == 429:
        return "RATE_LIMITED"
    if status in (400, 404, 422):
        return "INVALID_REQUEST"
    return "UPSTREAM_ERROR" if status >= 500 else "UPSTREAM_UNCLASSIFIED"


def _answer(call: Call) -> web.StreamResponse:
    last = call.attempts[-1] if call.attempts else None
    if last is None:
        return _error(403, "INVALID_REQUEST", "no candidate lies within the tenant's zone")
    if last.response is not None:
        if last.code and call.attempts[-1].response is not None:
            last.response.force_close()
        return last.response
    if not last.code and last.body is not None:
        return web.json_response(last.body | {"model": call.alias})
    return _error(429 if last.code == "RATE_LIMITED" else 502, last.code, "every candidate failed")


def _audit_record(call: Call, cost: float, price_book_version: str) -> dict[str, Any]:
    last = call.attempts[-1] if call.attempts else None
    used = None
    if last is not None and not last.code:
        used = {"provider": last.route.provider, "model_version": last.route.model, "region": last.route.region}
    usage = last.usage if last else {}
    return {
        "at": round(time.time(), 3),
        "request_id": uuid.uuid4().hex,
        "tenant": call.tenant,
        "feature": call.feature,
        "model_alias": call.alias,
        "model_used": used,
        "status": SUCCESS if used else FAILURE,
        "code": "" if used else (last.code if last else "INVALID_REQUEST"),
        "latency_s": round(time.monotonic() - call.began, 4),
        "usage": {
            "input_tokens": usage.get("prompt_tokens", 0),
            "output_tokens": usage.get("completion_tokens", 0),
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
        },
        "cost_usd": round(cost, 8),
        "price_book_version": price_book_version,
        "cache_status": "none",
        "fallback_step": last.route.step if last else None,
        "degraded": len(call.attempts) > 1,
        "primary_failure_reason": call.attempts[0].code if len(call.attempts) > 1 else "",
        "route_resolution": [
            {"candidate": attempt.route.name, "model": attempt.route.model, "outcome": attempt.code or "selected"}
            for attempt in call.attempts
        ],
    }


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


async def serve(plan: EstatePlan, instance: int) -> None:
    """Serve one of a plan's gateways until cancelled."""
    runner = web.AppRunner(Gateway(plan, instance).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, plan.gateways[instance].port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(load_plan(Path(sys.argv[1])), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
