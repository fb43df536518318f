"""The simulated providers and local servers: python -m tiercli.sandbox.providers.process --plan FILE

Only their answers are simulated. The wire is real: OpenAI's chat completions, streams too, one port an endpoint. Latencies are
drawn from what the catalog calls typical. A local server serves as many calls at once as its concurrency allows, queues the
others, and exposes both as the source does that the catalog names for it; beside it, its GPUs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tiercli.faults.kinds.latencies import Lognormal
from tiercli.sandbox.plan import Endpoint, EstatePlan, load_plan, source_path
from tiercli.sandbox.providers.answers import count_tokens, draw_output_tokens, usual_output_tokens
from tiercli.sandbox.spoken_metrics import Amounts, SpokenMetrics
from tiercli.serving import listen, run_process
from tiercli.signals.bindings import known_binding
from tiercli.signals.sources import gpu_sources
from tiercli.signals.spoken import Event

FIRST_TOKEN_SHARE = 0.35  # of an answer's time, until its first token
_MOST_PIECES = 8  # of a stream: enough to drip, few enough to be cheap
_GPU_BYTES = 80.0 * 2**30
_TEXT = "the quick brown fox jumps over the lazy dog and runs on through the quiet evening wood " * 400
_WORDS = _TEXT.split(" ")


@dataclass(frozen=True, slots=True)
class Completion:
    """What a simulated answer depends on."""

    model: str
    stream: bool
    usage_wanted: bool
    prompt_tokens: int
    output_tokens: int


class SimulatedEndpoint:
    """One endpoint of `plan`: a cloud provider in a region, or a local server."""

    def __init__(self, endpoint: Endpoint, plan: EstatePlan) -> None:
        self.endpoint = endpoint
        self._latency = Lognormal(endpoint.p50_seconds, endpoint.p95_seconds)
        self._random = random.Random(f"{plan.seed}/{endpoint.key}")  # noqa: S311 - a simulation
        self._slots = asyncio.Semaphore(endpoint.concurrency) if endpoint.concurrency else None
        self.running = dict.fromkeys(endpoint.models, 0)
        self.waiting = dict.fromkeys(endpoint.models, 0)
        binding, catalog = plan.catalog.providers[endpoint.provider].binding, plan.catalog
        self._exposed: dict[str, SpokenMetrics] = {}
        if endpoint.server is not None and binding is not None:
            self._exposed["/metrics"] = SpokenMetrics(known_binding(binding), self._load)
        if endpoint.gpus:
            for name, source in gpu_sources(catalog).items():
                self._exposed[source_path(name)] = SpokenMetrics(known_binding(source.binding), self._gpus)

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(client_max_size=16 << 20)
        application.add_routes(
            [
                web.post("/v1/chat/completions", self._complete),
                web.get("/v1/models", self._models),
                web.get("/health", self._health),
            ]
        )
        application.add_routes(web.get(path, metrics.answer) for path, metrics in self._exposed.items())
        return application

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = self._read(await request.read())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _error(400, "invalid_request_error", f"not a chat completion request: {error!r}")
        if wanted.model not in self.endpoint.models:
            return _error(404, "model_not_found", f"this endpoint has no model {wanted.model!r}")
        arrived = time.monotonic()
        if self._slots is None:
            with self._counted(self.running, wanted.model):
                return await self._serve(request, wanted, arrived)
        with self._counted(self.waiting, wanted.model):
            await self._slots.acquire()
        try:
            with self._counted(self.running, wanted.model):
                return await self._serve(request, wanted, arrived)
        finally:
            self._slots.release()

    async def _serve(self, request: web.Request, wanted: Completion, arrived: float) -> web.StreamResponse:
        queued = time.monotonic() - arrived
        seconds = self._latency.draw(self._random)
        if self._random.random() < self.endpoint.error_ratio:
            await asyncio.sleep(seconds * FIRST_TOKEN_SHARE)
            return _error(500, "server_error", "simulated failure")
        if wanted.stream:
            answer = await self._stream(request, wanted, seconds)
            self._count(wanted, arrived, queued, seconds)
            return answer
        await asyncio.sleep(seconds)
        self._count(wanted, arrived, queued, seconds)
        message = {"role": "assistant", "content": _text(wanted.output_tokens)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        content = {**_head(wanted, "chat.completion"), "choices": [choice], "usage": _usage(wanted)}
        return web.json_response(content, headers=self._headers())

    def _count(self, wanted: Completion, arrived: float, queued: float, seconds: float) -> None:
        facts = {"model": wanted.model, "server": self._server, "stream": "yes" if wanted.stream else ""}
        amounts = {
            "seconds": time.monotonic() - arrived,
            "ttft_seconds": queued + seconds * FIRST_TOKEN_SHARE,
            "queue_seconds": queued,
            "input_tokens": wanted.prompt_tokens,
            "output_tokens": wanted.output_tokens,
        }
        for metrics in self._exposed.values():
            metrics.count("answer", facts, amounts)

    async def _stream(self, request: web.Request, wanted: Completion, seconds: float) -> web.StreamResponse:
        head = _head(wanted, "chat.completion.chunk")
        response = web.StreamResponse(headers={**self._headers(), "Content-Type": "text/event-stream"})
        await asyncio.sleep(seconds * FIRST_TOKEN_SHARE)
        try:
            await response.prepare(request)
            pieces = _pieces(wanted.output_tokens)
            for number, piece in enumerate(pieces):
                delta = {"role": "assistant", "content": piece} if number == 0 else {"content": piece}
                await response.write(_event({**head, "choices": [_delta(delta)]}))
                if number < len(pieces) - 1:
                    await asyncio.sleep(seconds * (1 - FIRST_TOKEN_SHARE) / (len(pieces) - 1))
            last = _event({**head, "choices": [_delta({}, "stop")]})
            if wanted.usage_wanted:
                last += _event({**head, "choices": [], "usage": _usage(wanted)})
            await response.write(last + b"data: [DONE]\n\n")
            await response.write_eof()
        except ConnectionError:
            return response  # the caller hung up
        return response

    async def _models(self, _: web.Request) -> web.Response:
        models = [{"id": name, "object": "model", "owned_by": self.endpoint.provider} for name in self.endpoint.models]
        return web.json_response({"object": "list", "data": models})

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    @property
    def _server(self) -> str:
        return self.endpoint.server or self.endpoint.key

    def _busy_ratio(self) -> float:
        """The share of its slots that is taken."""
        running = sum(self.running.values())
        return min(1.0, running / (self.endpoint.concurrency or running + 1))

    def _load(self) -> Iterator[tuple[Event, Mapping[str, str], Amounts]]:
        """How many calls it serves and holds back now, by model."""
        for model in self.endpoint.models:
            amounts = {
                "running": self.running[model],
                "waiting": self.waiting[model],
                "cache_ratio": self._busy_ratio(),
            }
            yield "server", {"model": model, "server": self._server}, amounts

    def _gpus(self) -> Iterator[tuple[Event, Mapping[str, str], Amounts]]:
        """Its GPUs, each as busy as its slots are taken."""
        busy = self._busy_ratio()
        used = _GPU_BYTES * (0.55 + 0.35 * busy)
        amounts = {
            "busy_ratio": 0.05 + 0.9 * busy,
            "memory_used_bytes": used,
            "memory_free_bytes": _GPU_BYTES - used,
            "memory_total_bytes": _GPU_BYTES,
            "power_watts": 90 + 560 * busy,
            "celsius": 36 + 38 * busy,
        }
        for number in range(self.endpoint.gpus):
            uuid = f"GPU-{self.endpoint.key}-{number}"
            yield "gpu", {"gpu": str(number), "uuid": uuid, "server": self._server}, amounts

    @contextmanager
    def _counted(self, counts: dict[str, int], model: str) -> Iterator[None]:
        counts[model] += 1
        try:
            yield
        finally:
            counts[model] -= 1

    def _headers(self) -> dict[str, str]:
        # Header values are latin-1 on the wire; the gateway decodes what is percent-encoded.
        return {"x-served-region": urllib.parse.quote(self.endpoint.region, safe="")}

    def _read(self, content: bytes) -> Completion:
        body = json.loads(content)
        prompt = "".join(str(message["content"]) for message in body["messages"])
        metadata = body.get("metadata") or {}
        median = usual_output_tokens(str(metadata.get("alias", "")), str(metadata.get("feature", "")))
        limit = int(body.get("max_completion_tokens") or body.get("max_tokens") or 4096)
        return Completion(
            model=body["model"],
            stream=body.get("stream") is True,
            usage_wanted=bool((body.get("stream_options") or {}).get("include_usage")),
            prompt_tokens=count_tokens(prompt),
            output_tokens=draw_output_tokens(median, limit, self._random),
        )


def _text(tokens: int) -> str:
    return " ".join(_WORDS[: min(tokens, len(_WORDS))])


def _pieces(tokens: int) -> Sequence[str]:
    words = _WORDS[: min(tokens, len(_WORDS))]
    size = -(-len(words) // _MOST_PIECES)
    return [" ".join(words[start : start + size]) + " " for start in range(0, len(words), size)]


def _head(wanted: Completion, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-simulated", "object": kind, "created": int(time.time()), "model": wanted.model}


def _usage(wanted: Completion) -> dict[str, int]:
    return {
        "prompt_tokens": wanted.prompt_tokens,
        "completion_tokens": wanted.output_tokens,
        "total_tokens": wanted.prompt_tokens + wanted.output_tokens,
    }


def _delta(delta: Mapping[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def _error(status: int, code: str, message: str) -> web.Response:
    error = {"message": message, "type": code, "code": code}
    return web.json_response({"error": error}, status=status)


@asynccontextmanager
async def serving(plan_file: Path) -> AsyncIterator[None]:
    """Serve every endpoint of a plan that no real program is. Raises InvalidInput, BackendError."""
    plan = load_plan(plan_file)
    async with AsyncExitStack() as runners:
        for endpoint in plan.endpoints:
            if endpoint.key in plan.real:
                continue
            runner = await listen(SimulatedEndpoint(endpoint, plan).application(), endpoint.upstream_port)
            runners.push_async_callback(runner.cleanup)
        yield


def main() -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m tiercli.sandbox.providers.process")
    parser.add_argument("--plan", type=Path, required=True, help="the plan of a simulated estate")
    return run_process(serving(parser.parse_args().plan))


if __name__ == "__main__":
    sys.exit(main())
