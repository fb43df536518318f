"""The proxy's other side: a request goes to the upstream, and its answer comes back piece by piece.

Where no fault is on, `relay` does it in as few steps as it can; with faults on, they stand between `fetch` and `reply`.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tiercli.faults.interface import Answer, BrokenOff

# What is between two hops and not between the ends (RFC 9110, 7.6.1). Host and Content-Length are made anew, and
# `Expect` is answered here.
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
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
_UPSTREAM_FAILED = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


def open_session() -> aiohttp.ClientSession:
    """A client that changes nothing of what it passes on: no cookies, no decompression, no headers of its own, no limits
    but those of the client in front and the upstream behind."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        auto_decompress=False,
    )


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection with RST, so that its peer sees it broken and not ended."""
    if transport is None or transport.is_closing():
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    cast(asyncio.Transport, transport).abort()  # uvloop's transports have it and are none by class


class Forwarder:
    """Passes requests on to one upstream."""

    def __init__(self, session: aiohttp.ClientSession, upstream: str) -> None:
        self._session = session
        self._upstream = upstream

    async def relay(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer `request` with what the upstream says."""
        try:
            answer = await self._ask(request)
        except BadTarget as error:
            return web.Response(status=400, text=f"{error}\n")
        except _UPSTREAM_FAILED as error:
            return _bad_gateway(error)
        async with answer:
            headers = _end_to_end(answer.headers, _HOP_BY_HOP)
            length = answer.content_length
            try:
                if length is not None and length <= _SMALL and request.method != "HEAD":
                    headers.popall("Content-Length", None)
                    return web.Response(status=answer.status, headers=headers, body=await answer.read())
                return await _stream(request, answer.status, headers, answer.content.iter_any())
            except _UPSTREAM_FAILED:
                reset(request.transport)  # the upstream broke off in the middle: so does this side
                return web.Response(status=502)

    async def fetch(self, request: web.BaseRequest, opened: AsyncExitStack) -> Answer:
        """The upstream's answer to `request`, its body yet to come; `opened` ends it. An unreachable upstream is a 502."""
        try:
            answer = await opened.enter_async_context(await self._ask(request))
        except BadTarget as error:
            return Answer(400, (), _pieces(f"{error}\n".encode()))
        except _UPSTREAM_FAILED as error:
            return Answer(502, (("X-Tiercli-Proxy", "upstream-unreachable"),), _pieces(_said(error)))
        headers = _end_to_end(answer.headers, _HOP_BY_HOP)
        return Answer(answer.status, tuple(headers.items()), answer.content.iter_any())

    async def reply(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        """Send `answer` to the client, each piece as it comes. Where its body breaks, the connection does."""
        try:
            return await _stream(request, answer.status, CIMultiDict(answer.headers), answer.body)
        except (*_UPSTREAM_FAILED, BrokenOff):
            reset(request.transport)
            return web.Response(status=502)

    async def _ask(self, request: web.BaseRequest) -> aiohttp.ClientResponse:
        headers = _end_to_end(request.headers, _NOT_FORWARDED)
        body: bytes | AsyncIterator[bytes] | None = None
        if request.body_exists:
            length = request.content_length
            if "Expect" in request.headers and request.transport is not None:
                request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if length is not None and length <= _SMALL:
                body = await request.read()
            else:
                body = request.content.iter_any()
                if length is not None:
                    headers["Content-Length"] = str(length)
        url = _url(self._upstream, request.raw_path)
        return await self._session.request(request.method, url, headers=headers, data=body, allow_redirects=False)


class BadTarget(ValueError):
    """A request line that names no path of the upstream."""


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


async def _stream(
    request: web.BaseRequest, status: int, headers: CIMultiDict[str], body: AsyncIterator[bytes]
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    async for piece in body:
        await response.write(piece)
    await response.write_eof()
    return response


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _said(error: BaseException) -> bytes:
    return f"fault proxy: no answer from upstream: {type(error).__name__}\n".encode()


def _bad_gateway(error: BaseException) -> web.Response:
    return web.Response(status=502, headers={"X-Tiercli-Proxy": "upstream-unreachable"}, body=_said(error))
