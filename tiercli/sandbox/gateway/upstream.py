"""One attempt of the simulated gateway at one endpoint: ask, time, classify, and pass a stream through."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tiercli.sandbox.gateway.routing import Step
from tiercli.sandbox.plan import Endpoint
from tiercli.signals.error_codes import code_of

# An invalid request is invalid everywhere; anything else may go better elsewhere.
FALLS_BACK = frozenset(
    {
        "CONNECTION_FAILED",
        "UPSTREAM_TIMEOUT",
        "UPSTREAM_ERROR",
        "RATE_LIMITED",
        "UPSTREAM_UNCLASSIFIED",
        "POSTCONDITION_FAILED",
    }
)
_DONE = b"[DONE]"
_HEADERS = {"Content-Type": "application/json"}

# Sends one piece of a stream to the client; the first call begins the answer. Raises ClientGone.
Send = Callable[[bytes], Awaitable[None]]


class ClientGone(Exception):
    """The client hung up: nothing that its upstream did wrong."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(slots=True)
class Attempt:
    """One attempt and what came of it. `code` is empty for success; `started`: the client has its first byte."""

    step: Step
    endpoint: Endpoint
    code: str = ""
    seconds: float = 0.0
    ttft_s: float | None = None
    usage: Usage | None = None
    served_region: str = ""
    refused: bool = False
    started: bool = False
    client_gone: bool = False
    body: bytes = b""


@dataclass(slots=True)
class _Stream:
    """What was seen of a stream so far."""

    usage: Usage | None = None
    content: bool = False
    refused: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Clock:
    """The time of one attempt, and the limit on what is waited for next."""

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
    """Asks endpoints, with the Authorization header that `authorize` gives for their provider. A timeout is the time to a whole answer, or to the first token of a stream and between tokens."""

    def __init__(self, session: aiohttp.ClientSession, timeout_s: float, authorize: Callable[[str], str]) -> None:
        self._session = session
        self._timeout_s = timeout_s
        self._authorize = authorize

    async def attempt(self, step: Step, endpoint: Endpoint, body: Mapping[str, Any], send: Send) -> Attempt:
        """Ask `endpoint` once with the client's `body`; what failed is in the attempt's code. Raises nothing."""
        attempt = Attempt(step, endpoint, served_region=endpoint.region)
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
            attempt.code = "UPSTREAM_UNCLASSIFIED"
        except Malformed:
            attempt.code = "POSTCONDITION_FAILED"
        attempt.seconds = time.perf_counter() - began
        return attempt

    async def _ask(self, attempt: Attempt, began: float, body: Mapping[str, Any], send: Send) -> None:
        content = _upstream_body(body, attempt.step.candidate.model)
        url = f"{attempt.endpoint.url}/v1/chat/completions"
        async with asyncio.timeout(self._timeout_s) as limit:
            # A redirect is no answer: following it would take a tenant's prompt to a place that nobody chose.
            headers = {**_HEADERS, "Authorization": self._authorize(attempt.endpoint.provider)}
            asking = self._session.post(url, data=content, headers=headers, allow_redirects=False)
            async with asking as answer:
                attempt.served_region = _served_region(answer, attempt.endpoint)
                attempt.code = code_of(answer.status)
                if attempt.code:
                    await answer.read()
                elif body.get("stream") is True:
                    wants_usage = bool(_mapping(body.get("stream_options")).get("include_usage"))
                    await self._pass_stream(attempt, answer, _Clock(began, self._timeout_s, limit), send, wants_usage)
                else:
                    attempt.body = await answer.read()
                    attempt.usage, attempt.refused = read_completion(attempt.body)

    async def _pass_stream(
        self,
        attempt: Attempt,
        answer: aiohttp.ClientResponse,
        clock: _Clock,
        send: Send,
        wants_usage: bool,
    ) -> None:
        """Pass events on as they come. Once the first is on its way to the client there is no falling back."""
        seen = _Stream()
        try:
            async for event in _events(answer.content):
                only_usage = _read_event(event, seen)
                if seen.content and attempt.ttft_s is None:
                    attempt.ttft_s = clock.elapsed_s()
                if not only_usage or wants_usage:
                    attempt.started = True
                    clock.pause()  # a slow client is not a slow upstream
                    await send(event)
                clock.wind()
        finally:
            attempt.usage, attempt.refused = seen.usage, seen.refused
        if not seen.done:
            raise aiohttp.ClientPayloadError("the stream ended before [DONE]")
        if not seen.content:
            raise Malformed("a stream without content")


class Malformed(Exception):
    """An answer that is no chat completion."""


def read_completion(content: bytes) -> tuple[Usage, bool]:
    """Usage of a chat completion, and whether the model refused. Raises Malformed where it is none."""
    try:
        data = json.loads(content)
        choice = data["choices"][0]
        message = choice["message"]
        if not isinstance(message.get("content"), str) and not message.get("tool_calls") and not message.get("refusal"):
            raise Malformed("a message without content")
        return _usage(data["usage"]), _refused(choice, message)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Malformed(repr(error)) from error


def _upstream_body(body: Mapping[str, Any], model: str) -> bytes:
    sent = {**body, "model": model}
    if body.get("stream") is True:
        sent["stream_options"] = {**_mapping(body.get("stream_options")), "include_usage": True}
    return json.dumps(sent).encode()


def _served_region(answer: aiohttp.ClientResponse, endpoint: Endpoint) -> str:
    said = answer.headers.get("x-served-region")
    return endpoint.region if said is None else urllib.parse.unquote(said)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


async def _events(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    lines: list[bytes] = []
    async for line in stream:
        lines.append(line)
        if line in (b"\n", b"\r\n"):
            yield b"".join(lines)
            lines.clear()
    if lines:
        yield b"".join(lines)


def _read_event(event: bytes, seen: _Stream) -> bool:
    """Note what an event says. True where it holds nothing but usage."""
    data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
    if not data:
        return False
    if data == _DONE:
        seen.done = True
        return False
    try:
        chunk = json.loads(data)
        if chunk.get("usage") is not None:
            seen.usage = _usage(chunk["usage"])
        choices = chunk["choices"]
        for choice in choices:
            delta = choice["delta"]
            seen.content = seen.content or bool(delta.get("content") or delta.get("tool_calls"))
            seen.refused = seen.refused or _refused(choice, delta)
        seen.content = seen.content or seen.refused
        return not choices and seen.usage is not None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(repr(error)) from error


def _refused(choice: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    return choice.get("finish_reason") == "content_filter" or bool(message.get("refusal"))


def _usage(data: Mapping[str, Any]) -> Usage:
    cached = int(_mapping(data.get("prompt_tokens_details")).get("cached_tokens") or 0)
    return Usage(input=int(data["prompt_tokens"]) - cached, output=int(data["completion_tokens"]), cache_read=cached)
