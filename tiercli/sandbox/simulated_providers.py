"""Simulated providers and local servers: `python -m tiercli.sandbox.simulated_providers PLAN`.

Fakes, and named so: no provider can be had in a sandbox. They speak OpenAI's chat completions, streaming included, with
latencies drawn from the catalog's `typical`; local servers queue what exceeds their concurrency and expose it as vLLM does.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from tiercli.sandbox.plan import Endpoint, EstatePlan, load_plan
from tiercli.sandbox.ports import LOOPBACK

_FIRST_TOKEN_SHARE = 0.35
_CHUNKS = 6
_Z95 = 1.6448536269514722  # the 95th percentile of the standard normal distribution
_MEAN_OUTPUT_TOKENS = 180


class SimulatedEndpoint:
    """One endpoint's behaviour."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.running = 0
        self.waiting = 0
        self._random = random.Random(endpoint.key)  # noqa: S311 - latencies, not secrets
        self._mu = math.log(endpoint.p50_seconds)
        self._sigma = max(1e-6, math.log(endpoint.p95_seconds / endpoint.p50_seconds) / _Z95)
        self._slots = asyncio.Semaphore(endpoint.concurrency) if endpoint.concurrency else None

    def app(self) -> web.Application:
        """The endpoint's HTTP surface."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/health", self.health)
        app.router.add_get("/metrics", self.metrics)
        return app

    def latency_s(self) -> float:
        """A draw from the lognormal distribution with the catalog's p50 and p95, no longer than three times p95."""
        return min(self._random.lognormvariate(self._mu, self._sigma), 3 * self.endpoint.p95_seconds)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        try:
            body = await request.json()
            model, stream = body["model"], bool(body.get("stream"))
            prompt = sum(len(str(message["content"])) for message in body["messages"])
        except (ValueError, KeyError, TypeError):
            return _error(400, "invalid_request_error", "not a chat completion request")
        if model not in self.endpoint.models:
            return _error(404, "model_not_found", f"no model {model!r} here")
        if self._slots is None:
            return await self._serve(request, body, model, stream, prompt)
        self.waiting += 1
        async with self._slots:
            self.waiting -= 1
            return await self._serve(request, body, model, stream, prompt)

    async def _serve(
        self, request: web.Request, body: dict[str, Any], model: str, stream: bool, prompt: int
    ) -> web.StreamResponse:
        self.running += 1
        try:
            latency = self.latency_s()
            if self._random.random() < self.endpoint.error_ratio:
                await asyncio.sleep(latency / 2)
                return _error(500, "server_error", "simulated failure")
            output = max(
                1, min(int(self._random.expovariate(1 / _MEAN_OUTPUT_TOKENS)), int(body.get("max_tokens", 4096)))
            )
            usage = {"prompt_tokens": max(1, prompt // 4), "completion_tokens": output}
            usage["total_tokens"] = usage["prompt_tokens"] + output
            if stream:
                return await self._stream(request, model, latency, usage)
            await asyncio.sleep(latency)
            message = {"role": "assistant", "content": "simulated"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response(
                {"id": "sim", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}
            )
        finally:
            self.running -= 1

    async def _stream(
        self, request: web.Request, model: str, latency: float, usage: dict[str, int]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await asyncio.sleep(latency * _FIRST_TOKEN_SHARE)
        await response.prepare(request)
        chunk = {"id": "sim", "object": "chat.completion.chunk", "model": model}
        for number in range(_CHUNKS):
            delta = {"choices": [{"index": 0, "delta": {"content": "simulated "}, "finish_reason": None}]}
            await response.write(b"data: " + json.dumps(chunk | delta).encode() + b"\n\n")
            if number < _CHUNKS - 1:
                await asyncio.sleep(latency * (1 - _FIRST_TOKEN_SHARE) / (_CHUNKS - 1))
        await response.write(b"data: " + json.dumps(chunk | {"choices": [], "usage": usage}).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def models(self, _: web.Request) -> web.Response:
        """GET /v1/models."""
        return web.json_response(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in self.endpoint.models]}
        )

    async def health(self, _: web.Request) -> web.Response:
        """GET /health."""
        return web.Response(text="ok\n")

    async def metrics(self, _: web.Request) -> web.Response:
        """GET /metrics: vLLM's names, and the contract's for the queue."""
        from prometheus_client import CollectorRegistry, Gauge
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry = CollectorRegistry()
        model = self.endpoint.models[0]
        for name, value in (("vllm:num_requests_running", self.running), ("vllm:num_requests_waiting", self.waiting)):
            Gauge(name, "As vLLM counts them.", ["model_name"], registry=registry).labels(model).set(value)
        depth = Gauge("ai_gateway_local_queue_depth", "Requests waiting.", ["model", "server"], registry=registry)
        depth.labels(model, self.endpoint.server or "").set(self.waiting)
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"error": {"type": kind, "message": message}}, status=status)


async def serve(plan: EstatePlan) -> None:
    """Serve every endpoint of a plan until cancelled."""
    for endpoint in plan.endpoints:
        runner = web.AppRunner(SimulatedEndpoint(endpoint).app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, endpoint.upstream_port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(load_plan(Path(sys.argv[1]))))
