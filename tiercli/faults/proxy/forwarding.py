"""The proxy's upstream side: a request goes to the upstream, and its answer comes back piece by piece.

Without a fault, `relay` does it in as few steps as possible; faults act between `fetch` and `reply`.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tiercli.faults.kinds.interface import Answer, BrokenOff
from tiercli.faults.proxy.observing import NO_ANSWER_HEADER, TIMED_OUT, UNREACHABLE, Ending, Observation

# Headers between two hops, not between the ends (RFC 9110, 7.6.1). Host and Content-Length are set again, and `Expect` is
# answered here.
_HOP_BY_HOP = (
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
)
_NOT_FORWARDED = (*_HOP_BY_HOP, "Host", "Content-Length", "Expect")
_SMALL = 1 << 18  # bytes: a body up to here is read whole and passed on in one write
_HELD = 32 << 20  # bytes: up to here the request of an observed call is read before a fault acts
READABLE = ("gzip", "deflate", "identity")  # encodings of answers that can be read here
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
_UPSTREAM_FAILED = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


def open_session() -> aiohttp.ClientSession:
    """A client that changes nothing: no cookies, no decompression, no headers and no limits of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        auto_decompress=False,
    )


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection with RST: its peer sees it break, not end."""
    if transport is None or transport.is_closing():
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    cast(asyncio.Transport, transport).abort()  # uvloop's transports have it, and are not of the class


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Changes to the requests for an upstream. `tls` checks its certificate. Headers in `removed` are removed, `put` are set, and
    `assumed` are set if the client sent none. `readable`: answers come in an encoding that can be read here, or in none."""

    tls: ssl.SSLContext | bool = True
    removed: tuple[str, ...] = ()
    put: Mapping[str, str] = field(default_factory=dict, repr=False)  # it may hold a key
    assumed: Mapping[str, str] = field(default_factory=dict)
    readable: bool = False

    def change(self, headers: CIMultiDict[str]) -> None:
        """Change the headers of one request."""
        for name in self.removed:
            headers.popall(name, None)
        for name, value in self.put.items():
            headers[name] = value
        for name, value in self.assumed.items():
            headers.setdefault(name, value)
        if self.readable and "Accept-Encoding" in headers:
            accepted = headers.popall("Accept-Encoding")
            headers["Accept-Encoding"] = _readable(",".join(accepted))


class Forwarder:
    """Passes requests on to one upstream. `observation`: of a call that is observed."""

    def __init__(self, session: aiohttp.ClientSession, upstream: str, passage: Passage | None = None) -> None:
        self._session = session
        self._upstream = upstream
        self._passage = passage
        self._tls = passage.tls if passage is not None else True

    async def relay(self, request: web.BaseRequest, observation: Observation | None = None) -> web.StreamResponse:
        """Answer `request` with the upstream's answer."""
        try:
            answer = await self._ask(request, observation)
        except BadTarget as error:
            return web.Response(status=400, text=f"{error}\n")
        except _UPSTREAM_FAILED as error:
            if _is_gone(request):
                _note_break(request, observation)
            return _bad_gateway(error, observation)
        async with answer:
            headers = _end_to_end(answer.headers, _HOP_BY_HOP)
            length = answer.content_length
            if observation is not None:
                observation.response_started(answer.status, headers)
            try:
                if length is not None and length <= _SMALL and request.method != "HEAD":
                    headers.popall("Content-Length", None)
                    body = await answer.read()
                    if observation is not None:
                        observation.response_piece(body)
                        observation.ended(Ending.WHOLE)
                    return web.Response(status=answer.status, headers=headers, body=body)
                return await _stream(request, answer.status, headers, answer.content.iter_any(), observation)
            except _UPSTREAM_FAILED:
                _note_break(request, observation)
                reset(request.transport)  # the upstream broke off, and so does this side
                return web.Response(status=502)

    async def read_first(self, request: web.BaseRequest, observation: Observation) -> bytes | None:
        """The whole body of a request: a fault can answer without reading it. None if its length is not known, or above the
        limit."""
        length = request.content_length
        if not request.body_exists or length is None or length > _HELD:
            return None
        _continue(request)
        body = await request.content.read()
        observation.request_piece(body)
        return body

    async def fetch(
        self,
        request: web.BaseRequest,
        opened: AsyncExitStack,
        body: bytes | None = None,
        observation: Observation | None = None,
    ) -> Answer:
        """The upstream's answer to `request`, its body not read yet; `opened` ends it. `body`: the part of the request that was read
        already. An unreachable upstream is a 502."""
        try:
            answer = await opened.enter_async_context(await self._ask(request, observation, body))
        except BadTarget as error:
            return Answer(400, (), _pieces(f"{error}\n".encode()))
        except _UPSTREAM_FAILED as error:
            return Answer(502, ((NO_ANSWER_HEADER, _why(error)),), _pieces(_reason_text(error)))
        headers = _end_to_end(answer.headers, _HOP_BY_HOP)
        return Answer(answer.status, tuple(headers.items()), answer.content.iter_any())

    async def reply(
        self, request: web.BaseRequest, answer: Answer, observation: Observation | None = None
    ) -> web.StreamResponse:
        """Send `answer` to the client, each piece as it comes. If its body breaks, so does the connection."""
        headers = CIMultiDict(answer.headers)
        if observation is not None:
            observation.response_started(answer.status, headers)
        try:
            return await _stream(request, answer.status, headers, answer.body, observation)
        except (*_UPSTREAM_FAILED, BrokenOff):
            _note_break(request, observation)
            reset(request.transport)
            return web.Response(status=502)

    async def _ask(
        self, request: web.BaseRequest, observation: Observation | None = None, read: bytes | None = None
    ) -> aiohttp.ClientResponse:
        headers = _end_to_end(request.headers, _NOT_FORWARDED)
        if self._passage is not None:
            self._passage.change(headers)
        body: bytes | AsyncIterator[bytes] | None = read
        if request.body_exists and read is None:
            length = request.content_length
            _continue(request)
            if length is not None and length <= _SMALL:
                body = await request.read()
                if observation is not None:
                    observation.request_piece(body)
            else:
                body = request.content.iter_any() if observation is None else _request_pieces(request, observation)
                if length is not None:
                    headers["Content-Length"] = str(length)
        url = _url(self._upstream, request.raw_path)
        return await self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False, ssl=self._tls
        )


class BadTarget(ValueError):
    """A request line without a path."""


@functools.lru_cache(maxsize=1024)
def _url(upstream: str, raw_path: str) -> URL:
    if not raw_path.startswith("/"):
        raise BadTarget(f"the fault proxy serves paths, not {raw_path!r}")
    return URL(upstream + raw_path, encoded=True)


def _end_to_end(headers: CIMultiDictProxy[str], dropped: tuple[str, ...]) -> CIMultiDict[str]:
    kept = headers.copy()
    for named in headers.getall("Connection", ()):
        for name in named.split(","):
            kept.popall(name.strip(), None)
    for name in dropped:
        kept.popall(name, None)
    return kept


def _readable(accepted: str) -> str:
    """The encodings of an Accept-Encoding that can be read here; else no encoding."""
    kept = [name.strip() for name in accepted.split(",") if name.partition(";")[0].strip().lower() in READABLE]
    return ", ".join(kept) or "identity"


def _continue(request: web.BaseRequest) -> None:
    if "Expect" in request.headers and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _request_pieces(request: web.BaseRequest, observation: Observation) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_any():
        observation.request_piece(piece)
        yield piece


async def _stream(
    request: web.BaseRequest,
    status: int,
    headers: CIMultiDict[str],
    body: AsyncIterator[bytes],
    observation: Observation | None = None,
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    async for piece in body:
        await response.write(piece)
        if observation is not None:
            observation.response_piece(piece)
    await response.write_eof()
    if observation is not None:
        observation.ended(Ending.WHOLE)
    return response


def _is_gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


def _note_break(request: web.BaseRequest, observation: Observation | None) -> None:
    """A write to a client that is gone raises the same errors as an upstream that breaks off."""
    if observation is not None:
        observation.ended(Ending.CLIENT_GONE if _is_gone(request) else Ending.BROKEN)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _reason_text(error: BaseException) -> bytes:
    return f"fault proxy: no answer from upstream: {type(error).__name__}\n".encode()


def _why(error: BaseException) -> str:
    return TIMED_OUT if isinstance(error, asyncio.TimeoutError) else UNREACHABLE


def _bad_gateway(error: BaseException, observation: Observation | None) -> web.Response:
    headers = {NO_ANSWER_HEADER: _why(error)}
    if observation is not None:
        observation.response_started(502, headers)
        observation.ended(Ending.WHOLE)
    return web.Response(status=502, headers=headers, body=_reason_text(error))
