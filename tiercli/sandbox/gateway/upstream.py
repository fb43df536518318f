"""One attempt of the simulated gateway at one endpoint: it is timed and classified, and a stream is passed through."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import urllib.parse
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tiercli.audit.record import Usage
from tiercli.sandbox.gateway.routing import Step
from tiercli.sandbox.plan import Endpoint
from tiercli.signals.contract import UNCLASSIFIED
from tiercli.signals.error_codes import code_of
from tiercli.wires.events import EventSplitter
from tiercli.wires.openai import OPENAI, OpenAIStream

# An invalid request is invalid everywhere; after any other error another candidate may answer.
FALLS_BACK = frozenset(
    {
        "CONNECTION_FAILED",
        "UPSTREAM_TIMEOUT",
        "UPSTREAM_ERROR",
        "RATE_LIMITED",
        "AUTH_FAILED",
        "MODEL_NOT_FOUND",
        UNCLASSIFIED,
        "POSTCONDITION_FAILED",
    }
)
_CREDENTIAL_S = 5.0
_HEADERS = {"Content-Type": "application/json"}

# Sends one piece of a stream to the client; the first call begins the answer. Raises ClientGone.
Send = Callable[[bytes], Awaitable[None]]


class ClientGone(Exception):
    """The client hung up: not an error of its upstream."""


@dataclass(slots=True)
class Attempt:
    """One attempt and its result. `code` is empty for success; `status`: HTTP's, 0 without an answer; `started`: the client has its
    first byte."""

    step: Step
    endpoint: Endpoint
    code: str = ""
    status: int = 0
    seconds: float = 0.0
    ttft_s: float | None = None
    usage: Usage | None = None
    served_region: str = ""
    refused: bool = False
    started: bool = False
    client_gone: bool = False
    body: bytes = b""


class Credentials:
    """Short-lived bearer tokens, one for each provider. Simulated providers take any. `issued`: how many, by provider."""

    def __init__(self) -> None:
        self.issued: Counter[tuple[str, ...]] = Counter()
        self._current: dict[str, tuple[str, float]] = {}

    def header(self, provider: str) -> str:
        """The Authorization header of a call to `provider`, with a token that has not expired."""
        token, until = self._current.get(provider, ("", 0.0))
        now = time.monotonic()
        if now >= until:
            token = secrets.token_urlsafe(16)
            self._current[provider] = (token, now + _CREDENTIAL_S)
            self.issued[provider,] += 1
        return f"Bearer {token}"


@dataclass(frozen=True, slots=True)
class _Clock:
    """The time of one attempt, and its timeout."""

    began: float
    timeout_s: float
    limit: asyncio.Timeout

    def elapsed_s(self) -> float:
        return time.perf_counter() - self.began

    def pause(self) -> None:
        self.limit.reschedule(None)

    def wind(self) -> None:
        self.limit.reschedule(asyncio.get_running_loop().time() + self.timeout_s)


class Upstream:
    """Calls endpoints, once `session` is set. A timeout is the time to a whole answer, or to the first token of a stream and between
    tokens."""

    session: aiohttp.ClientSession

    def __init__(self, timeout_s: float, credentials: Credentials) -> None:
        self._timeout_s = timeout_s
        self.credentials = credentials
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._servers: dict[tuple[str, str], Endpoint] = {}

    async def attempt(self, step: Step, endpoint: Endpoint, body: Mapping[str, Any], send: Send) -> Attempt:
        """Call `endpoint` once with the client's `body`. What failed is in the attempt's code. Raises nothing."""
        attempt = Attempt(step, endpoint, served_region=endpoint.region)
        with self._counted(endpoint, step.candidate.model):
            await self._timed(attempt, body, send)
        return attempt

    def waiting(self) -> dict[tuple[str, ...], float]:
        """The queue of each local server that was called, by model and server: what is under way there beyond what it serves at
        once, as far as this instance called it."""
        return {
            (model, endpoint.server or key): float(max(0, self._under_way[key, model] - (endpoint.concurrency or 0)))
            for (key, model), endpoint in self._servers.items()
        }

    @contextmanager
    def _counted(self, endpoint: Endpoint, model: str) -> Iterator[None]:
        key = (endpoint.key, model)
        if endpoint.server is not None:
            self._servers[key] = endpoint
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1

    async def _timed(self, attempt: Attempt, body: Mapping[str, Any], send: Send) -> None:
        began = time.perf_counter()  # the event loop's own clock may have no more than milliseconds
        try:
            await self._ask(attempt, began, body, send)
        except ClientGone:
            attempt.client_gone = True
        except TimeoutError:
            attempt.code = "UPSTREAM_TIMEOUT"
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError):
            attempt.code = "CONNECTION_FAILED"
        except aiohttp.ClientError:
            attempt.code = UNCLASSIFIED
        except NoAnswer as error:
            attempt.code = error.code
        attempt.seconds = time.perf_counter() - began

    async def _ask(self, attempt: Attempt, began: float, body: Mapping[str, Any], send: Send) -> None:
        content = _upstream_body(body, attempt.step.candidate.model)
        url = f"{attempt.endpoint.url}/v1/chat/completions"
        async with asyncio.timeout(self._timeout_s) as limit:
            # A redirect is not followed: it would send a tenant's prompt to a place that nobody chose.
            headers = {**_HEADERS, "Authorization": self.credentials.header(attempt.endpoint.provider)}
            request = self.session.post(url, data=content, headers=headers, allow_redirects=False)
            async with request as answer:
                attempt.served_region = _served_region(answer, attempt.endpoint)
                attempt.status, attempt.code = answer.status, code_of(answer.status)
                if attempt.code:
                    await answer.read()
                elif body.get("stream") is True:
                    wants_usage = bool(_mapping(body.get("stream_options")).get("include_usage"))
                    await self._pass_stream(attempt, answer, _Clock(began, self._timeout_s, limit), send, wants_usage)
                else:
                    attempt.body = await answer.read()
                    _read_whole(attempt)

    async def _pass_stream(
        self,
        attempt: Attempt,
        answer: aiohttp.ClientResponse,
        clock: _Clock,
        send: Send,
        wants_usage: bool,
    ) -> None:
        """Pass events on as they come. Once the first is on its way to the client there is no falling back."""
        reader, splitter = OpenAIStream(), EventSplitter()
        reading = reader.reading
        try:
            async for piece in answer.content.iter_any():
                for event in splitter.feed(piece):
                    reader.feed(event)
                    if reading.malformed or reading.error:
                        raise NoAnswer(reading.error)
                    if attempt.ttft_s is None and (reading.content or reading.refused):
                        attempt.ttft_s = clock.elapsed_s()
                    if wants_usage or not reader.only_usage:
                        attempt.started = True
                        clock.pause()  # a slow client is not a slow upstream
                        await send(event)
                clock.wind()
        finally:
            attempt.usage, attempt.refused = reading.usage, reading.refused
        if not reading.done:
            raise aiohttp.ClientPayloadError("the stream ended before [DONE]")


class NoAnswer(Exception):
    """What came with status 200 is an error, or not a chat completion."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.code = error or "POSTCONDITION_FAILED"


def _read_whole(attempt: Attempt) -> None:
    reading = OPENAI.read_whole(attempt.body)
    attempt.usage, attempt.refused = reading.usage, reading.refused
    if reading.malformed or reading.error or reading.usage is None:
        raise NoAnswer(reading.error)


def _upstream_body(body: Mapping[str, Any], model: str) -> bytes:
    sent = {**body, "model": model}
    if body.get("stream") is True:
        sent["stream_options"] = {**_mapping(body.get("stream_options")), "include_usage": True}
    return json.dumps(sent).encode()


def _served_region(answer: aiohttp.ClientResponse, endpoint: Endpoint) -> str:
    region = answer.headers.get("x-served-region")
    return endpoint.region if region is None else urllib.parse.unquote(region)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
