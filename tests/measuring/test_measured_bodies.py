"""Bodies and connections as clients and servers really have them: packed, too long, without a length, of HTTP/1.0."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web
from measured_stand import ACME, OFFER, MeasuredStand, answering, measured_stand, openai_answer, scenario, streaming

from tests.sandbox.gateway_stand import DONE, chunk

LIMIT = 4096
PATH = "/v1/chat/completions"
LONG = {"model": "gpt-5-mini", "user": "ann", "messages": [{"role": "user", "content": "x" * 40_000}]}
MODEL_LAST = {"messages": LONG["messages"], "model": "gpt-5-mini"}


def raw_deflate(content: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(content) + packing.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(openai_answer())),
        ("x-gzip", gzip.compress(openai_answer())),
        ("GZIP", gzip.compress(openai_answer())),
        ("identity, gzip", gzip.compress(openai_answer())),
        ("gzip", gzip.compress(openai_answer()[:50]) + gzip.compress(openai_answer()[50:])),
        ("gzip", gzip.compress(openai_answer()) + b"\0" * 20),
        ("deflate", zlib.compress(openai_answer())),
        ("deflate", raw_deflate(openai_answer())),
        ("", openai_answer()),
    ],
    ids=["gzip", "x-gzip", "capitals", "two names", "two members", "padded", "deflate", "deflate, raw", "nothing"],
)
@pytest.mark.parametrize("pieces", [1, 40], ids=["at once", "in pieces"])
def test_a_packed_answer_is_read(tmp_path: Path, encoding: str, packed: bytes, pieces: int) -> None:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Encoding": encoding})
        await response.prepare(request)
        for start in range(0, len(packed), -(-len(packed) // pieces)):
            await response.write(packed[start : start + -(-len(packed) // pieces)])
        return response

    async def check(stand: MeasuredStand) -> None:
        async with stand.client.post(stand.url + PATH, json=LONG, headers=ACME) as answer:
            assert answer.status == 200
        (record,) = await stand.records()
        assert record.usage is not None
        assert (record.usage.output_tokens, record.status) == (5, "success")
        assert stand.value("tiercli_proxy_unread_answers_total") == 0

    scenario(tmp_path, serve, check)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "gzip"], ids=["br", "zstd", "two", "no gzip in truth"])
def test_an_answer_that_cannot_be_read_passes_and_is_counted_as_unread(tmp_path: Path, encoding: str) -> None:
    async def check(stand: MeasuredStand) -> None:
        async with (
            aiohttp.ClientSession(auto_decompress=False) as client,
            client.post(stand.url + PATH, json=LONG, headers=ACME) as answer,
        ):
            assert await answer.read() == b"\x1b\x03\x00\xf8\xff"
        (record,) = await stand.records()
        assert (record.status, record.usage, record.cost_usd) == ("success", None, None)
        assert stand.value("tiercli_proxy_unread_answers_total", provider="openai") == 1

    scenario(tmp_path, answering(b"\x1b\x03\x00\xf8\xff", Content_Encoding=encoding), check)


@pytest.mark.parametrize(
    ("body", "headers", "unread"),
    [
        (gzip.compress(json.dumps(LONG).encode()), {"Content-Encoding": "gzip"}, 0),
        (zlib.compress(json.dumps(LONG).encode()), {"Content-Encoding": "deflate"}, 0),
        (json.dumps(LONG).encode(), {}, 0),
        (b"\xef\xbb\xbf" + json.dumps(LONG).encode(), {}, 0),
        (json.dumps(MODEL_LAST).encode(), {}, 1),
        (b"\x1b\x03", {"Content-Encoding": "br"}, 1),
        (b"no json", {}, 1),
    ],
    ids=["gzip", "deflate", "too long", "with a mark", "too long, the model last", "br", "no JSON"],
)
@pytest.mark.parametrize("size_said", [True, False], ids=["with a length", "chunked"])
def test_the_model_is_the_requests_or_else_the_answers(
    tmp_path: Path, body: bytes, headers: dict[str, str], unread: int, size_said: bool
) -> None:
    """With a limit of 4 kB all of them are told to tenant, model and cost; the last three by the model of the answer."""

    async def pieces() -> Any:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    received: list[bytes] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        received.append(await request.content.read())
        return web.Response(body=openai_answer(model="gpt-5-mini"), content_type="application/json")

    async def check(stand: MeasuredStand) -> None:
        data = body if size_said else pieces()
        request = {"data": data, "headers": {**ACME, **headers, "Content-Type": "application/json"}}
        async with stand.client.post(stand.url + PATH, **request) as answer:
            assert answer.status == 200
        assert received == [body]
        (record,) = await stand.records()
        assert (record.tenant, record.model_used and record.model_used.model_version) == ("acme-corp", "gpt-5-mini")
        assert record.cost_usd == pytest.approx((7 * 0.25 + 5 * 2.00 + 4 * 0.025) / 1e6)
        assert stand.value("ai_gateway_requests_total", **OFFER, status="success") == 1
        assert stand.value("tiercli_proxy_unread_requests_total", provider="openai") == unread

    scenario(tmp_path, serve, check, read_limit=LIMIT)


def test_a_model_that_nothing_tells_is_unknown_and_counted_so(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.client.post(stand.url + PATH, data=json.dumps(MODEL_LAST), headers=ACME)
        (record,) = await stand.records()
        assert (record.model_used and record.model_used.model_version, record.cost_usd) == ("", None)
        assert stand.value("tiercli_proxy_unread_requests_total", provider="openai") == 1

    scenario(tmp_path, answering(openai_answer()), check, read_limit=LIMIT)


def test_of_an_answer_that_is_too_long_the_beginning_is_read(tmp_path: Path) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "y" * 40_000}, "finish_reason": "stop"}

    async def check(stand: MeasuredStand) -> None:
        _, body = await stand.call()
        assert len(body) > 40_000
        (record,) = await stand.records()
        assert (record.status, record.usage_estimated) == ("success", True)
        assert record.usage is not None
        assert 0 < record.usage.output_tokens <= LIMIT // 4
        assert record.cost_usd is not None
        assert stand.value("tiercli_proxy_unread_answers_total") == 1

    scenario(tmp_path, answering(openai_answer(choices=[choice])), check, read_limit=LIMIT)


@pytest.mark.parametrize("kind", ["Text/Event-Stream; charset=UTF-8", "text/plain", "application/octet-stream"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
def test_a_stream_is_one_whatever_it_is_called_and_however_its_lines_end(tmp_path: Path, kind: str, end: bytes) -> None:
    content = b": hello\n\n" + chunk("one") + chunk("two") + chunk(usage=(11, 40)) + DONE

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        for byte in content.replace(b"\n", end):
            await response.write(bytes([byte]))
        return response

    async def check(stand: MeasuredStand) -> None:
        await stand.call(stream=True)
        (record,) = await stand.records()
        assert (record.status, record.code, record.usage_estimated) == ("success", None, False)
        assert record.usage is not None
        assert record.usage.output_tokens == 40

    scenario(tmp_path, serve, check)


@pytest.mark.parametrize("last", ["cut", "whole"])
@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((chunk("a"), DONE), None),
        ((chunk("a"), b'data: {"error": {"code": 429}}\n\n'), "RATE_LIMITED"),
    ],
    ids=["an answer", "an error"],
)
def test_what_a_stream_said_counts_however_its_connection_ends(
    tmp_path: Path, parts: tuple[bytes, ...], code: str | None, last: str
) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.call(stream=True)
        (record,) = await stand.records()
        assert record.code == code

    scenario(tmp_path, streaming(*parts, 0.02, *(["cut"] if last == "cut" else [])), check)


async def exchange(url: str, *requests: bytes) -> list[bytes]:
    """Send requests over one connection, each once the answer before it has come; the answers, and what came at the end."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answers = []
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 1"):
            head = head.partition(b"\r\n\r\n")[2] or await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        answers.append(head + (await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""))
    writer.write_eof()
    answers.append(await reader.read())
    writer.close()
    return answers


def post(version: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {PATH} HTTP/{version}", "Host: x", "x-tenant: acme-corp", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


SMALL = json.dumps({"model": "gpt-5-mini", "messages": []}).encode()


def test_calls_follow_each_other_on_one_connection(tmp_path: Path) -> None:
    async def run() -> None:
        async with measured_stand(tmp_path, answering(openai_answer())) as stand:
            *answers, rest = await exchange(stand.url, *[post("1.1", SMALL)] * 3)
            assert [answer.startswith(b"HTTP/1.1 200") for answer in answers] == [True] * 3
            assert rest == b""
            assert [record.status for record in await stand.records(3)] == ["success"] * 3

    uvloop.run(run())


def test_a_client_of_http_1_0_has_its_answer_and_then_the_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with measured_stand(tmp_path, streaming(chunk("one"), chunk(usage=(11, 40)), DONE)) as stand:
            head, body = await exchange(stand.url, post("1.0", SMALL))
            assert head.startswith(b"HTTP/1.0 200")
            assert b"chunked" not in head.lower()
            assert body == chunk("one") + chunk(usage=(11, 40)) + DONE
            (record,) = await stand.records()
            assert record.usage is not None
            assert record.usage.output_tokens == 40

    uvloop.run(run())


@pytest.mark.parametrize(
    "interim",
    [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b""],
    ids=["early hints", "continue", "none"],
)
def test_what_comes_before_an_answer_is_no_answer(tmp_path: Path, interim: bytes) -> None:
    """An upstream that speaks HTTP/1.0 after it: without a length, up to the end of the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(interim)
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + openai_answer())
        await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, measured_stand(tmp_path, url) as stand:
            assert await stand.call() == (200, openai_answer())
            (record,) = await stand.records()
            assert (record.status, record.http_status) == ("success", 200)

    uvloop.run(run())


def test_a_client_that_waits_for_leave_to_send_gets_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with measured_stand(tmp_path, answering(openai_answer())) as stand:
            answer, _ = await exchange(stand.url, post("1.1", SMALL, "Expect: 100-continue"))
            assert answer.startswith(b"HTTP/1.1 200")
            (record,) = await stand.records()
            assert record.model_used is not None
            assert record.model_used.model_version == "gpt-5-mini"

    uvloop.run(run())
