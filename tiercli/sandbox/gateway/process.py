"""The simulated gateway: python -m tiercli.sandbox.gateway.process --plan FILE [--instance N]

OpenAI's chat completions, with an alias as `model`. The headers x-tenant, x-feature and x-caller say who calls, percent-encoded. It
falls back along the alias's candidates, writes one audit record a call, and exposes what the catalog's gateway would, and what the
sources beside it would. It authenticates nobody.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.parse
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tiercli.audit.audit_log import AuditLog
from tiercli.audit.identity import caller_of, credential_id
from tiercli.audit.record import CLIENT_CLOSED
from tiercli.errors import BackendError
from tiercli.exporters.audit_tally import Tally
from tiercli.sandbox.gateway.cache import CachedAnswer, ExactCache
from tiercli.sandbox.gateway.conditions import CONTROL_PATH, Conditions
from tiercli.sandbox.gateway.limits import Cooldown, Quotas
from tiercli.sandbox.gateway.metrics import ContractMetrics, gateway_sources
from tiercli.sandbox.gateway.records import Call, Records
from tiercli.sandbox.gateway.routing import Considered, Denied, Router, Step
from tiercli.sandbox.gateway.spoken_calls import SpokenCalls
from tiercli.sandbox.gateway.upstream import FALLS_BACK, Attempt, ClientGone, Credentials, Upstream
from tiercli.sandbox.plan import EstatePlan, load_plan
from tiercli.serving import listen, run_process

_LARGEST_BODY = 16 << 20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_STATUS = {"RATE_LIMITED": 429, "UPSTREAM_TIMEOUT": 504, "INVALID_REQUEST": 400}


class Gateway:
    """One instance: its handlers, its quotas, its cache, and its audit log with what that adds up to."""

    def __init__(self, plan: EstatePlan, audit: AuditLog) -> None:
        self._plan = plan
        self._audit = audit
        self._router = Router(plan)
        self._conditions = Conditions()
        self._quotas = Quotas(plan)
        self._cache = ExactCache()
        self._cooldown = Cooldown(plan.cooldown_s)
        self._upstream = Upstream(plan.gateway_timeout_s, Credentials())
        tally = Tally(plan.catalog)
        spoken: list[SpokenCalls] = []
        self._exposed: dict[str, Handler] = {}
        for path, binding, provider in gateway_sources(plan.catalog):
            if binding.spoken is None:
                contract = ContractMetrics(binding, plan, tally, audit, self._quotas, self._upstream, self._conditions)
                self._exposed[path] = contract.answer
            else:
                spoken.append(SpokenCalls(binding, plan.catalog, provider, plan.minute_s))
                self._exposed[path] = spoken[-1].metrics.answer
        self._records = Records(plan, tally, audit, self._conditions, [calls.add for calls in spoken])

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.add_routes(
            [
                web.post("/v1/chat/completions", self._complete),
                web.get("/v1/models", self._models),
                web.get("/health", self._health),
                *(web.get(path, answer) for path, answer in self._exposed.items()),
            ]
        )
        application.add_subapp(CONTROL_PATH, self._conditions.control_application())
        application.cleanup_ctx.append(self._client)
        return application

    async def _client(self, _: web.Application) -> Any:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=None)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
            self._upstream.session = session
            yield

    async def _health(self, _: web.Request) -> web.Response:
        status = "ok" if self._audit.healthy else "audit records are lost"
        return web.json_response({"status": status}, status=200 if self._audit.healthy else 503)

    async def _models(self, _: web.Request) -> web.Response:
        models = [{"id": name, "object": "model", "owned_by": "gateway"} for name in self._plan.catalog.aliases]
        return web.json_response({"object": "list", "data": models})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        call = Call(uuid.uuid4().hex, began=time.monotonic())
        tenant, feature = _header(request, "x-tenant"), _header(request, "x-feature")
        known = self._plan.catalog.tenants.get(tenant)
        call.tenant = tenant if known else ""
        call.feature = feature if known and feature in known.features else ""
        call.credential_id, hide = credential_id(request.headers), self._plan.catalog.audit.hash_callers
        call.caller = caller_of(request.headers, "", hide=hide)
        try:
            body = await _read_body(request)
            user = body.get("user")
            call.caller = caller_of(request.headers, user if isinstance(user, str) else "", hide=hide)
            call.alias = body["model"] if body["model"] in self._plan.catalog.aliases else ""
            steps, outside = self._router.resolve(body["model"], tenant, feature)
        except Denied as denied:
            call.scope_denied = denied.scope
            return self._refuse(call, denied.status, denied.code, denied.message)
        call.considered.extend(outside)
        question = self._cache.key(call.tenant, body)
        if question is not None:
            cached = self._cache.get(question)
            call.cache = "exact_miss" if cached is None else "exact_hit"
            if cached is not None:
                return self._answer_again(call, cached)
        names = {"alias": call.alias, "feature": call.feature}
        body = {**body, "metadata": {**_mapping(body.get("metadata")), **names}}
        client = _Client(request, call.request_id)
        await self._try(call, steps, body, client)
        answered = call.answered
        # An answer from outside the tenant's zone is not kept: every answer from the cache would be a violation again.
        if question is not None and answered is not None and self._router.in_zone(tenant, answered.served_region):
            self._cache.put(question, answered.body, answered.served_region)
        return await self._answer(call, client)

    def _answer_again(self, call: Call, cached: CachedAnswer) -> web.Response:
        call.cached_region = cached.served_region
        self._records.finish(call)
        headers = {"x-request-id": call.request_id, "x-cache": "exact"}
        return web.Response(body=cached.body, content_type="application/json", headers=headers)

    async def _try(self, call: Call, steps: tuple[Step, ...], body: Mapping[str, Any], client: _Client) -> None:
        """Try the candidates until one answers; `call` holds the attempts."""
        failed: tuple[Step, str] | None = None
        for step in steps:
            if failed is not None:
                call.falls.append({"from": failed[0].name, "to": step.name, "reason": failed[1]})
            if not self._quotas.take(call.tenant, step):
                call.considered.append(Considered(step, "the gateway's own quota is exhausted"))
                failed = (step, "RATE_LIMITED")
                continue
            if self._cooldown.leaves_out(step.name):
                call.considered.append(Considered(step, "cooldown: it failed again and again"))
                failed = (step, "CONNECTION_FAILED")
                continue
            for endpoint in self._router.endpoints(step.candidate):
                attempt = await self._upstream.attempt(step, endpoint, body, client.send)
                call.attempts.append(attempt)
                if attempt.code != "CONNECTION_FAILED" or attempt.started:
                    break  # only a server that does not answer is replaced by its neighbour
            self._cooldown.note(step.name, failed=attempt.code in FALLS_BACK)
            if not attempt.code or attempt.started or attempt.code not in FALLS_BACK:
                return
            failed = (step, attempt.code)

    async def _answer(self, call: Call, client: _Client) -> web.StreamResponse:
        last = call.attempts[-1] if call.attempts else None
        if last is None:
            rate_limited = any("quota" in item.reason for item in call.considered)
            if rate_limited:
                return self._refuse(call, 429, "RATE_LIMITED", "the gateway's own quota is exhausted")
            call.refusal = "routing"
            return self._refuse(call, 403, "INVALID_REQUEST", "no candidate lies within the tenant's zone")
        if last.client_gone:
            call.code = CLIENT_CLOSED
        elif last.code:
            call.code = last.code
        response = client.response
        if response is None and call.code:
            status = _STATUS.get(call.code, 502)
            return self._refuse(call, status, call.code, "no candidate answered")
        self._records.finish(call)
        if response is None:
            return web.Response(body=last.body, content_type="application/json", headers=client.headers(last))
        if call.code:
            client.break_off()
        else:
            await client.end()
        return response

    def _refuse(self, call: Call, status: int, code: str, message: str) -> web.Response:
        call.status, call.code = status, code
        self._records.finish(call)
        error = {"message": message, "type": "gateway_error", "code": code, "request_id": call.request_id}
        return web.json_response({"error": error}, status=status, headers={"x-request-id": call.request_id})


class _Client:
    """The client's side of a stream; the answer begins with its first piece."""

    def __init__(self, request: web.Request, request_id: str) -> None:
        self._request = request
        self._request_id = request_id
        self.response: web.StreamResponse | None = None

    def headers(self, attempt: Attempt) -> dict[str, str]:
        return {"x-request-id": self._request_id, "x-fallback-step": str(attempt.step.number)}

    async def send(self, piece: bytes) -> None:
        try:
            if self.response is None:
                headers = {"Content-Type": "text/event-stream", "x-request-id": self._request_id}
                self.response = web.StreamResponse(headers=headers)
                await self.response.prepare(self._request)
            await self.response.write(piece)
        except ConnectionError as error:
            raise ClientGone from error

    async def end(self) -> None:
        if self.response is not None:
            try:
                await self.response.write_eof()
            except ConnectionError:
                return  # the client has the whole answer

    def break_off(self) -> None:
        """A stream that failed must not look like one that ended."""
        if self._request.transport is not None:
            self._request.transport.abort()


async def _read_body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge as error:
        raise Denied(413, "INVALID_REQUEST", f"the body is longer than {_LARGEST_BODY} bytes") from error
    except ValueError as error:
        raise Denied(400, "INVALID_REQUEST", f"the body is not JSON: {error}") from error
    if (
        not isinstance(body, dict)
        or not isinstance(body.get("model"), str)
        or not isinstance(body.get("messages"), list)
    ):
        raise Denied(400, "INVALID_REQUEST", "the body is not a chat completion request: it needs model and messages")
    return body


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _header(request: web.Request, name: str) -> str:
    return urllib.parse.unquote(request.headers.get(name, ""))


@asynccontextmanager
async def serving(plan_file: Path, instance: int = 0) -> AsyncIterator[None]:
    """Serve one instance of a plan's gateway. Raises InvalidInput, BackendError."""
    plan = load_plan(plan_file)
    if not 0 <= instance < len(plan.gateways):
        raise BackendError(f"the plan has {len(plan.gateways)} gateways; there is no number {instance}")
    own = plan.gateways[instance]
    try:
        audit = AuditLog(own.audit_log)
    except OSError as error:
        raise BackendError(f"cannot write the audit log {own.audit_log}: {error.strerror}") from error
    runner = await listen(Gateway(plan, audit).application(), own.port)
    try:
        yield
    finally:
        await runner.cleanup()


def main() -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m tiercli.sandbox.gateway.process")
    parser.add_argument("--plan", type=Path, required=True, help="the plan of a simulated estate")
    parser.add_argument("--instance", type=int, default=0, help="the number of the gateway in the plan")
    arguments = parser.parse_args()
    return run_process(serving(arguments.plan, arguments.instance))


if __name__ == "__main__":
    sys.exit(main())
