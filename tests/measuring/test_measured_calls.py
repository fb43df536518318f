"""What passes the measuring point, as its metrics and its audit log say it."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp import web
from measured_stand import (
    LLAMA,
    OFFER,
    PROMPT,
    MeasuredStand,
    Serve,
    answering,
    measured_stand,
    openai_answer,
    scenario,
    streaming,
)
from upstreams import simulated

from tests.sandbox.gateway_stand import DONE, chunk
from tiercli.catalog.loading import LoadedCatalog


def test_a_call_is_counted_as_the_gateway_counts_it(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        status, body = await stand.call()
        assert (status, body) == (200, openai_answer())
        (record,) = await stand.records()
        assert (record.tenant, record.feature, record.model_alias) == ("acme-corp", "chat", "chat")
        assert (record.status, record.code, record.http_status) == ("success", None, 200)
        assert record.usage is not None
        assert (record.usage.input_tokens, record.usage.output_tokens, record.usage.cache_read_tokens) == (7, 5, 4)
        assert not record.usage_estimated
        assert record.cost_usd == pytest.approx((7 * 0.25 + 5 * 2.00 + 4 * 0.025) / 1e6)
        assert stand.value("ai_gateway_requests_total", **OFFER, status="success") == 1
        assert stand.value("ai_gateway_request_duration_seconds_count", **OFFER) == 1
        assert stand.value("ai_gateway_tokens_total", **OFFER, direction="cache_read") == 4
        assert stand.value("ai_gateway_tenant_tokens_total", tenant="acme-corp", direction="input") == 7
        labels = {"tenant": "acme-corp", "feature": "chat", "alias": "chat"}
        assert stand.value("ai_gateway_cost_usd_total", **labels) == pytest.approx(record.cost_usd)
        assert stand.value("ai_gateway_alias_requests_total", alias="chat", fallback_step="0") == 1
        region = {"tenant": "acme-corp", "region": "ap-south-1", "status": "success"}
        assert stand.value("ai_gateway_tenant_requests_total", **region) == 1
        assert stand.value("ai_gateway_audit_records_total") == stand.value("ai_gateway_up") == 1
        assert stand.value("ai_gateway_price_book_info", version="2026-11-01") == 1
        assert stand.value("ai_gateway_errors_total") == 0

    scenario(tmp_path, answering(openai_answer()), check)


@pytest.mark.parametrize(
    ("serve", "code", "status"),
    [
        pytest.param(answering(b"{}", 429), "RATE_LIMITED", 429, id="throttled"),
        pytest.param(answering(b"{}", 503), "UPSTREAM_ERROR", 503, id="an error of the upstream"),
        pytest.param(answering(b"{}", 504), "UPSTREAM_TIMEOUT", 504, id="a timeout that the upstream tells"),
        pytest.param(answering(b"{}", 400), "INVALID_REQUEST", 400, id="an invalid request"),
        pytest.param(answering(b"{}", 418), "UPSTREAM_UNCLASSIFIED", 418, id="a status that nobody knows"),
        pytest.param(answering(b"no json"), "POSTCONDITION_FAILED", 200, id="an answer that is no JSON"),
        pytest.param(
            answering(openai_answer(choices=[])), "POSTCONDITION_FAILED", 200, id="an answer without a choice"
        ),
        pytest.param(
            answering(b'{"error": {"code": "server_error"}}'), "UPSTREAM_ERROR", 200, id="an error as a success"
        ),
        pytest.param("http://127.0.0.1:9", "CONNECTION_FAILED", 502, id="an upstream that is not there"),
        pytest.param(streaming(chunk("a"), 0.01, "cut"), "CONNECTION_FAILED", 200, id="a stream that breaks off"),
        pytest.param(streaming(chunk("a")), "CONNECTION_FAILED", 200, id="a stream that ends too soon"),
        pytest.param(streaming(DONE), "POSTCONDITION_FAILED", 200, id="a stream of nothing"),
        pytest.param(
            streaming(b'data: {"choices": 1}\n\n', DONE), "POSTCONDITION_FAILED", 200, id="a stream of no chunks"
        ),
        pytest.param(
            streaming(chunk("a"), b'data: {"error": {"code": "rate_limit_exceeded"}}\n\n'),
            "RATE_LIMITED",
            200,
            id="an error within a stream",
        ),
    ],
)
def test_a_failure_has_its_code(tmp_path: Path, serve: Serve | str, code: str, status: int) -> None:
    async def check(stand: MeasuredStand) -> None:
        got, _ = await stand.call(stream=True)
        assert got in (status, 0)
        (record,) = await stand.records()
        assert (record.status, record.code, record.http_status) == ("failure", code, status)
        assert record.model_used is None
        assert stand.value("ai_gateway_errors_total", **OFFER, code=code) == 1
        assert stand.value("ai_gateway_requests_total", **OFFER, status="failure") == 1
        assert stand.value("ai_gateway_requests_total") == 1
        assert stand.value("ai_gateway_tenant_requests_total", tenant="acme-corp", status="failure") == 1

    scenario(tmp_path, serve, check)


def test_a_stream_that_names_its_usage(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.call(stream=True)
        (record,) = await stand.records()
        assert record.usage is not None
        assert (record.usage.input_tokens, record.usage.output_tokens, record.usage_estimated) == (11, 40, False)
        # The role that comes first is no token.
        assert record.ttft_s is not None
        assert record.ttft_s >= 0.04
        assert record.latency_s is not None
        assert record.latency_s >= record.ttft_s + 0.04
        assert stand.value("ai_gateway_time_to_first_token_seconds_count", **OFFER) == 1

    parts = (chunk(""), 0.05, chunk("one")[:30], chunk("one")[30:], 0.05, chunk(usage=(11, 40)), DONE)
    scenario(tmp_path, streaming(*parts), check)


def test_tokens_that_a_stream_does_not_say_are_counted_and_called_an_estimate(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.call(stream=True)
        (record,) = await stand.records()
        assert record.usage is not None
        assert (record.usage.input_tokens, record.usage.output_tokens) == (len(PROMPT) // 4, 3)
        assert record.usage_estimated
        assert stand.value("tiercli_proxy_estimated_usage_total", provider="openai") == 1

    scenario(tmp_path, streaming(chunk("one"), chunk("two"), chunk("three"), DONE), check)


def test_each_piece_of_a_stream_passes_as_it_comes(tmp_path: Path) -> None:
    over = asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk("first"))
        await over.wait()  # set only by a client that has the first
        await response.write(DONE)
        return response

    async def check(stand: MeasuredStand) -> None:
        calling = stand.client.post(f"{stand.url}/v1/chat/completions", json={"stream": True})
        async with asyncio.timeout(30), calling as answer:
            assert await answer.content.readany() == chunk("first")
            over.set()
            assert await answer.content.readany() == DONE

    scenario(tmp_path, serve, check)


def test_an_answer_that_is_packed_is_read_and_passes_packed(tmp_path: Path) -> None:
    accepted: list[str | None] = []
    packed = gzip.compress(openai_answer())

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        accepted.append(request.headers.get("Accept-Encoding"))
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        return web.Response(body=packed, headers=headers)

    async def check(stand: MeasuredStand) -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as client:
            headers = {"Accept-Encoding": "zstd, br;q=0.9, gzip"}
            async with client.post(f"{stand.url}/v1/chat/completions", json={}, headers=headers) as answer:
                assert await answer.read() == packed
        (record,) = await stand.records()
        assert accepted == ["gzip"]
        assert record.usage is not None
        assert record.usage.output_tokens == 5

    scenario(tmp_path, serve, check)


def test_a_local_server_costs_its_gpu_time(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            simulated(hybrid.catalog, tmp_path) as urls,
            measured_stand(tmp_path, urls["vllm/mumbai-dc/vllm-a"], LLAMA) as stand,
        ):
            assert (await stand.call("llama-3.3-70b"))[0] == 200
            await stand.call("llama-3.3-70b", stream=True, stream_options={"include_usage": True})
            whole, stream = await stand.records(2)
            for record in (whole, stream):
                assert record.latency_s is not None
                assert record.cost_usd == pytest.approx(4 * 2.40 / 3600 * record.latency_s / 64, rel=0.01)
                assert record.usage is not None
                assert record.usage.output_tokens > 1
                assert not record.usage_estimated
            assert json.loads(stand.log.read_bytes().splitlines()[0])["model_used"]["region"] == "mumbai-dc"

    uvloop.run(run())


def test_a_call_whose_record_cannot_be_written_is_counted_without_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with measured_stand(tmp_path, answering(openai_answer()), log=Path("/dev/full")) as stand:
            await stand.call()
            await asyncio.sleep(0.05)
            assert stand.value("ai_gateway_tenant_requests_total") == 1
            assert stand.value("ai_gateway_audit_records_total") == stand.value("ai_gateway_up") == 0

    uvloop.run(run())
