"""What passes the measuring point, as its metrics and its audit log say it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web
from measured_stand import ACME, CLAUDE, GPT, LLAMA, PROMPT, MeasuredStand, Serve, measured_stand, openai_answer
from upstreams import TEXT, fake_anthropic, simulated

from tests.sandbox.gateway_stand import DONE, chunk
from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import InvalidInput
from tiercli.measuring import observed_call

OFFER = {"provider": "openai", "model": "gpt-5-mini", "region": "ap-south-1"}
CLAUDE_OFFER = {"provider": "anthropic", "model": "claude-sonnet-4-6", "region": "ap-south-1"}


def answering(body: bytes, status: int = 200, **headers: str) -> Serve:
    async def serve(_: web.BaseRequest) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, headers={"content-type": "application/json", **named})

    return serve


def streaming(*parts: bytes | float | str) -> Serve:
    """Pieces of a stream; seconds between them; "cut" breaks it off."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            if isinstance(part, float):
                await asyncio.sleep(part)
            elif isinstance(part, bytes):
                await response.write(part)
            else:
                assert request.transport is not None
                request.transport.abort()
        return response

    return serve


def scenario(
    folder: Path, serve: Serve | str, check: Callable[[MeasuredStand], Any], endpoint: Mapping[str, Any] = GPT
) -> None:
    async def run() -> None:
        async with measured_stand(folder, serve, endpoint) as stand:
            await check(stand)

    uvloop.run(run())


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


def test_no_text_of_a_call_is_kept(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.call()
        await stand.call(stream=True)
        await stand.call(
            metadata="x" * 300, model="mallory's model", headers={"x-tenant": "mallory", "x-alias": "mallory-2"}
        )
        await stand.records(3)
        kept = stand.log.read_text() + stand.exposition()
        assert not {word for word in (PROMPT, "secret", "mallory", "xxx") if word in kept}

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
        assert record.ttft_s >= 0.05
        assert record.latency_s is not None
        assert record.latency_s >= record.ttft_s + 0.05
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


@pytest.mark.parametrize(
    ("headers", "model", "expected"),
    [
        pytest.param(
            ACME, "gpt-5-mini", ("acme-corp", "chat", "chat", "gpt-5-mini", "0"), id="the alias of a candidate"
        ),
        pytest.param(
            {**ACME, "x-alias": "summariser"},
            "gpt-5-mini",
            ("acme-corp", "chat", "summariser", "gpt-5-mini", "1"),
            id="an alias in the header",
        ),
        pytest.param(
            ACME, "summariser", ("acme-corp", "chat", "summariser", "gpt-5-mini", "1"), id="an alias as the model"
        ),
        pytest.param({}, "gpt-5-mini", ("", "", "chat", "gpt-5-mini", "0"), id="nobody"),
        pytest.param(
            {"x-tenant": "acme%2Dcorp", "x-feature": "s%65arch"},
            "gpt-5-mini",
            ("acme-corp", "search", "chat", "gpt-5-mini", "0"),
            id="names that are percent-encoded",
        ),
        pytest.param(
            {"x-tenant": "acme-corp", "x-feature": "drafting"},
            "gpt-5-mini",
            ("acme-corp", "", "chat", "gpt-5-mini", "0"),
            id="another tenant's feature",
        ),
        pytest.param(
            {"x-alias": "smart-reasoner"}, "o-99", ("", "", "smart-reasoner", "", None), id="an alias not of here"
        ),
    ],
)
def test_who_called_is_said_in_the_names_of_the_catalog(
    tmp_path: Path, headers: dict[str, str], model: str, expected: tuple[str, str, str, str, str | None]
) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.call(model, headers)
        (record,) = await stand.records()
        used = record.model_used.model_version if record.model_used else None
        step = None if record.fallback_step is None else str(record.fallback_step)
        got = (record.tenant or "", record.feature or "", record.model_alias or "", used, step)
        assert got == expected

    scenario(tmp_path, answering(openai_answer()), check)


def test_what_callers_send_adds_no_series(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        for number in range(30):
            headers = {"x-tenant": f"t{number}", "x-feature": f"f{number}", "x-alias": f"a{number}"}
            await stand.call(f"m{number}", headers)
        await stand.records(30)
        assert stand.value("ai_gateway_requests_total", provider="openai", region="ap-south-1", model="") == 30
        assert (
            len(stand.samples("ai_gateway_requests_total"))
            == len(stand.samples("ai_gateway_tenant_requests_total"))
            == 1
        )
        unknown = stand.samples("tiercli_proxy_unknown_names_total")
        assert {dict(key)["of"]: value for key, value in unknown.items()} == {
            "tenant": 30, "feature": 30, "alias": 30, "model": 30,
        }  # fmt: skip

    scenario(tmp_path, answering(openai_answer()), check)


def test_a_call_served_outside_of_its_tenants_zone_is_a_violation(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.call(headers=ACME)
        await stand.records()
        assert stand.value("ai_gateway_zone_violations_total", tenant="acme-corp", region="us-east-1") == 1

    scenario(tmp_path, answering(openai_answer(), x_served_region="us-east-1"), check)


def test_requests_that_are_no_calls_pass_and_are_not_counted(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        async with stand.client.get(f"{stand.url}/v1/models") as answer:
            assert answer.status == 200
        async with stand.client.post(f"{stand.url}/v1/files", data=b"x") as answer:
            assert answer.status == 200
        assert stand.log.read_bytes() == b""
        assert stand.value("tiercli_proxy_unmeasured_requests_total", provider="openai") == 1

    scenario(tmp_path, answering(b"{}"), check)


@pytest.mark.parametrize(
    ("stream", "silence_s", "code", "attempts"),
    [
        pytest.param(False, 0.6, "UPSTREAM_TIMEOUT", 1, id="who waited and went gave the upstream up"),
        pytest.param(False, 0.05, "CLIENT_CLOSED", 0, id="who went at once says nothing of the upstream"),
        pytest.param(True, 0.05, "CLIENT_CLOSED", 1, id="who went in the middle of a stream was being answered"),
    ],
)
def test_a_client_that_hangs_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool, silence_s: float, code: str, attempts: int
) -> None:
    monkeypatch.setattr(observed_call, "PATIENCE_S", 0.3)

    async def check(stand: MeasuredStand) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(silence_s):
                await stand.call()
        (record,) = await stand.records()
        assert (record.status, record.code) == ("failure", code)
        counted = "failure" if code == "UPSTREAM_TIMEOUT" else "success"
        assert stand.value("ai_gateway_requests_total", **OFFER, status=counted) == attempts
        assert stand.value("ai_gateway_tenant_requests_total", status="failure") == 1

    parts = [chunk("a"), *(part for _ in range(100) for part in (0.02, chunk("b")))] if stream else [5.0]
    scenario(tmp_path, streaming(*parts) if stream else _silent, check)


async def _silent(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


def test_who_hangs_up_after_the_last_event_had_it_all(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        body = {"model": "gpt-5-mini", "stream": True}
        async with stand.client.post(f"{stand.url}/v1/chat/completions", json=body) as answer:
            while DONE not in await answer.content.readany():
                pass
        (record,) = await stand.records()
        assert (record.status, record.code) == ("success", None)

    scenario(tmp_path, streaming(chunk("a"), 0.02, DONE, 5.0), check)


@pytest.mark.parametrize(
    ("fault", "settings", "code"),
    [
        ("outage", {"mode": "refused"}, "CONNECTION_FAILED"),
        ("outage", {"mode": "reset"}, "CONNECTION_FAILED"),
        ("errors", {"share": 1, "status_codes": [503]}, "UPSTREAM_ERROR"),
        ("throttle", {"share": 1}, "RATE_LIMITED"),
        ("unclassified", {"share": 1}, "UPSTREAM_UNCLASSIFIED"),
        ("malformed", {}, "POSTCONDITION_FAILED"),
        ("truncated-stream", {"pieces": 1}, "CONNECTION_FAILED"),
    ],
)
def test_a_fault_is_measured_as_its_client_sees_it(
    tmp_path: Path, fault: str, settings: dict[str, Any], code: str
) -> None:
    async def check(stand: MeasuredStand) -> None:
        applied = await stand.control.apply(fault, {"provider": "openai"}, settings)
        await stand.call(stream=True)
        (record,) = await stand.records()
        assert (record.code, record.tenant) == (code, "acme-corp")
        assert (
            stand.value("ai_gateway_errors_total", **OFFER, code=code) == 1
        )  # the model is known though nobody asked it
        await stand.control.clear(applied)
        assert (await stand.call(stream=True))[0] == 200
        assert (await stand.records(2))[1].status == "success"

    scenario(tmp_path, streaming(chunk("a"), 0.01, chunk("b"), 0.01, DONE), check)


def test_latency_is_measured_from_outside_of_the_fault(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.control.apply("latency", {"provider": "openai"}, {"seconds": 0.4})
        await stand.call()
        (record,) = await stand.records()
        assert record.latency_s is not None
        assert record.latency_s >= 0.4

    scenario(tmp_path, answering(openai_answer()), check)


def test_calls_under_way_that_an_outage_resets_are_failures_of_the_endpoint(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        call = asyncio.ensure_future(stand.call())
        await asyncio.sleep(0.1)
        await stand.control.apply("outage", {"provider": "openai"})
        assert (await call)[0] == 0
        (record,) = await stand.records()
        assert record.code == "CONNECTION_FAILED"

    scenario(tmp_path, _silent, check)


def test_anthropics_messages_are_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with fake_anthropic() as (url, fake), measured_stand(tmp_path, url, CLAUDE) as stand:
            headers = {**ACME, "x-tenant": "globex-media", "x-feature": "summary"}
            status, body = await stand.call("claude-sonnet-4-6", headers, "/v1/messages", max_tokens=9)
            assert status == 200
            assert TEXT in body.decode()
            await stand.call("claude-sonnet-4-6", headers, "/v1/messages", stream=True)
            whole, stream = await stand.records(2)
            assert whole.request_id == "req_of_anthropic"
            for record, output in ((whole, 12), (stream, 15)):
                assert record.usage is not None
                usage = record.usage
                assert (usage.input_tokens, usage.output_tokens) == (25, output)
                assert (usage.cache_read_tokens, usage.cache_write_tokens) == (100, 7)
                assert not record.usage_estimated
                expected = (25 * 3 + output * 15 + 100 * 0.30 + 7 * 3.75) / 1e6
                assert record.cost_usd == pytest.approx(expected)
                assert record.model_alias == "smart-reasoner"
            assert stream.ttft_s is not None
            assert stand.value("ai_gateway_requests_total", **CLAUDE_OFFER, status="success") == 2
            assert fake.seen[0]["anthropic-version"] == "2023-06-01"

    uvloop.run(run())


@pytest.mark.parametrize(
    ("status", "cut", "stop_reason", "code"),
    [
        (529, None, "end_turn", "UPSTREAM_ERROR"),
        (200, 5, "end_turn", "CONNECTION_FAILED"),
        (200, None, "refusal", None),
    ],
    ids=["overloaded", "cut off", "refused"],
)
def test_what_goes_wrong_on_anthropics_wire(
    tmp_path: Path, status: int, cut: int | None, stop_reason: str, code: str | None
) -> None:
    async def run() -> None:
        async with fake_anthropic() as (url, fake), measured_stand(tmp_path, url, CLAUDE) as stand:
            fake.status, fake.cut, fake.stop_reason = status, cut, stop_reason
            await stand.call("claude-sonnet-4-6", path="/v1/messages", stream=True)
            (record,) = await stand.records()
            assert record.code == code
            if cut:
                assert record.usage is not None  # what the beginning says, and what was counted
                assert (record.usage.input_tokens, record.usage.output_tokens, record.usage_estimated) == (25, 2, True)
            assert stand.value("ai_gateway_refusals_total", kind="model") == (stop_reason == "refusal")

    uvloop.run(run())


def test_a_fault_that_changes_openais_answers_is_refused_on_another_wire(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        (route,) = await stand.control.routes()
        assert (route.labels["provider"], "outage" in route.faults) == ("anthropic", True)
        assert not {"refusal-drift", "output-length-drift", "scrape-failure", "gateway-down"} & set(route.faults)
        with pytest.raises(InvalidInput, match="cannot have the fault refusal-drift"):
            await stand.control.apply("refusal-drift", {"provider": "anthropic"})

    scenario(tmp_path, answering(b"{}"), check, CLAUDE)


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
