"""The simulated gateway over real HTTP, before upstreams that answer as a test says: routing, falling back, streams."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from gateway_stand import DONE, chunk, completion, gateway_stand

MUMBAI, VIRGINIA = "anthropic/ap-south-1", "anthropic/us-east-1"
OPENAI, VLLM_A, VLLM_B = "openai/ap-south-1", "vllm/mumbai-dc/vllm-a", "vllm/mumbai-dc/vllm-b"
ANYWHERE = {"x-tenant": "globex-media", "x-feature": "drafting"}
ENFORCED = {"zones": "enforced"}
IN_REGION = {"x-tenant": "acme-corp", "x-feature": "chat"}


def test_the_primary_answers_and_the_others_are_not_asked() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            status, answer = await stand.complete("smart-reasoner", ANYWHERE)
            assert (status, answer["choices"][0]["message"]["content"]) == (200, f"from {MUMBAI}")
            assert stand.asked == [MUMBAI]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "UPSTREAM_ERROR"),
        (502, "UPSTREAM_ERROR"),
        (529, "RATE_LIMITED"),
        (429, "RATE_LIMITED"),
        (408, "UPSTREAM_TIMEOUT"),
        (504, "UPSTREAM_TIMEOUT"),
        (401, "AUTH_FAILED"),
        (404, "MODEL_NOT_FOUND"),
        (302, "UPSTREAM_UNCLASSIFIED"),
    ],
)
def test_a_failed_candidate_is_passed_over_in_order_and_its_code_is_counted(status: int, code: str) -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.answers[MUMBAI] = stand.answers[VIRGINIA] = status
            got, answer = await stand.complete("smart-reasoner", ANYWHERE)
            assert got == 200
            assert answer["choices"][0]["message"]["content"].startswith("from vllm/mumbai-dc/")
            assert stand.asked[:2] == [MUMBAI, VIRGINIA]
            assert await stand.value("ai_gateway_errors_total", region="us-east-1", code=code) == 1
            hops = await stand.samples("ai_gateway_fallbacks_total")
            assert [(labels["from"], labels["to"], labels["reason"]) for labels, _ in hops] == [
                ("anthropic/claude-sonnet-4-6/ap-south-1", "anthropic/claude-sonnet-4-6/us-east-1", code),
                ("anthropic/claude-sonnet-4-6/us-east-1", "vllm/llama-3.3-70b/mumbai-dc", code),
            ]
            record = stand.audit()[-1]
            assert (record["fallback_step"], record["degraded"]) == (2, True)
            assert record["primary_failure_reason"] == code

    asyncio.run(scenario())


def test_a_refused_connection_is_counted_as_such_and_passed_over() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            await stand.stop(MUMBAI)
            status, _ = await stand.complete("smart-reasoner", ANYWHERE)
            assert (status, stand.asked) == (200, [VIRGINIA])
            assert await stand.value("ai_gateway_errors_total", code="CONNECTION_FAILED") == 1

    asyncio.run(scenario())


def test_an_upstream_that_does_not_answer_in_time_is_passed_over() -> None:
    async def scenario() -> None:
        async with gateway_stand(gateway_timeout_s=0.3) as stand:
            stand.answers[MUMBAI] = "silence"
            status, _ = await stand.complete("smart-reasoner", ANYWHERE)
            assert (status, stand.asked) == (200, [MUMBAI, VIRGINIA])
            assert await stand.value("ai_gateway_errors_total", code="UPSTREAM_TIMEOUT") == 1
            assert await stand.value("ai_gateway_request_duration_seconds_sum", region="ap-south-1") >= 0.299

    asyncio.run(scenario())


@pytest.mark.parametrize(("timeout_s", "fallback"), [(0.4, "1"), (3.0, "0")])
def test_a_candidate_that_is_slower_than_the_catalog_allows_is_passed_over(timeout_s: float, fallback: str) -> None:
    async def scenario() -> None:
        async with gateway_stand(gateway={"timeout_seconds": timeout_s}) as stand:
            stand.answers[MUMBAI] = [0.8, completion("late"), "end"]
            assert (await stand.complete("smart-reasoner", ANYWHERE))[0] == 200
            [(labels, calls)] = await stand.samples("ai_gateway_alias_requests_total", alias="smart-reasoner")
            assert (labels["fallback_step"], calls) == (fallback, 1)
            assert stand.audit()[-1]["primary_failure_reason"] == (None if fallback == "0" else "UPSTREAM_TIMEOUT")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {}}], "usage": {}}',
     b'{"choices": [{"message": {"content": "x"}}]}'],
)  # fmt: skip
def test_a_malformed_answer_is_a_postcondition_violation_and_passed_over(body: bytes) -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.answers[MUMBAI] = body
            status, _ = await stand.complete("smart-reasoner", ANYWHERE)
            assert (status, stand.asked) == (200, [MUMBAI, VIRGINIA])
            assert await stand.value("ai_gateway_postcondition_violations_total", alias="smart-reasoner") == 1
            assert await stand.value("ai_gateway_errors_total", code="POSTCONDITION_FAILED") == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"code": 429}}', "RATE_LIMITED"),
        (b'{"error": {"type": "InternalServerError"}}', "UPSTREAM_ERROR"),
        (b'{"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}', "UPSTREAM_ERROR"),
    ],
)
def test_an_error_in_the_form_of_a_success_is_counted_as_what_it_is(body: bytes, code: str) -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.answers[MUMBAI] = body
            status, _ = await stand.complete("smart-reasoner", ANYWHERE)
            assert (status, stand.asked) == (200, [MUMBAI, VIRGINIA])
            assert await stand.value("ai_gateway_errors_total", code=code) == 1
            assert not await stand.samples("ai_gateway_postcondition_violations_total")

    asyncio.run(scenario())


def test_an_invalid_request_is_invalid_everywhere() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.answers[MUMBAI] = 400
            status, answer = await stand.complete("smart-reasoner", ANYWHERE)
            assert (status, answer["error"]["code"]) == (400, "INVALID_REQUEST")
            assert stand.asked == [MUMBAI]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(500, 502, "UPSTREAM_ERROR"), (429, 429, "RATE_LIMITED"), (504, 504, "UPSTREAM_TIMEOUT")],
)
def test_where_nobody_answers_the_client_gets_the_last_code(answer: int, status: int, code: str) -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.answers = dict.fromkeys(stand.answers, answer)
            got, said = await stand.complete("chat", ANYWHERE)
            assert (got, said["error"]["code"]) == (status, code)
            record = stand.audit()[-1]
            assert (record["status"], record["code"], record["model_used"]) == ("failure", code, None)
            assert await stand.value("ai_gateway_tenant_requests_total", status="failure") == 1
            assert await stand.samples("ai_gateway_alias_requests_total") == []

    asyncio.run(scenario())


def test_a_tenants_zone_is_never_left_whatever_fails() -> None:
    async def scenario() -> None:
        async with gateway_stand(own_zone=("us-east-1",), gateway=ENFORCED) as stand:
            await stand.complete("smart-reasoner", ANYWHERE)
            assert stand.asked == [VIRGINIA]
            stand.answers[VIRGINIA] = 500
            status, _ = await stand.complete("smart-reasoner", ANYWHERE)
            assert (status, set(stand.asked)) == (502, {VIRGINIA})
            outside = [item for item in stand.audit()[0]["route_resolution"]["considered"] if "zone" in item["result"]]
            assert len(outside) == 2
            assert await stand.samples("ai_gateway_zone_violations_total") == []

    asyncio.run(scenario())


def test_without_a_candidate_in_the_zone_the_call_is_refused() -> None:
    async def scenario() -> None:
        async with gateway_stand(own_zone=("nowhere",), gateway=ENFORCED) as stand:
            status, answer = await stand.complete("smart-reasoner", ANYWHERE)
            assert (status, stand.asked) == (403, [])
            assert "zone" in answer["error"]["message"]
            assert await stand.value("ai_gateway_refusals_total", alias="smart-reasoner", kind="routing") == 1

    asyncio.run(scenario())


def test_a_gateway_that_only_observes_zones_leaves_them_and_each_answer_from_outside_is_a_violation() -> None:
    async def scenario() -> None:
        async with gateway_stand(own_zone=("us-east-1",), gateway={"zones": "observed"}) as stand:
            assert (await stand.complete("smart-reasoner", ANYWHERE))[0] == 200
            stand.answers[MUMBAI] = 500
            assert (await stand.complete("smart-reasoner", ANYWHERE))[0] == 200
            assert stand.asked == [MUMBAI, MUMBAI, VIRGINIA]
            labels = {"tenant": "globex-media", "region": "ap-south-1"}
            assert await stand.samples("ai_gateway_zone_violations_total") == [(labels, 1)]

    asyncio.run(scenario())


def test_an_answer_from_another_region_is_a_zone_violation() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.served_region = "us-east-1"
            assert (await stand.complete("chat", IN_REGION))[0] == 200
            labels = {"tenant": "acme-corp", "region": "us-east-1"}
            assert await stand.samples("ai_gateway_zone_violations_total") == [(labels, 1)]
            assert (await stand.complete("chat", ANYWHERE))[0] == 200  # no zone to leave
            assert await stand.samples("ai_gateway_zone_violations_total") == [(labels, 1)]

    asyncio.run(scenario())


def test_local_calls_are_spread_over_the_servers() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            for _ in range(6):
                await stand.complete("summariser", ANYWHERE)
            assert (stand.asked.count(VLLM_A), stand.asked.count(VLLM_B)) == (3, 3)

    asyncio.run(scenario())


def test_a_server_that_is_not_there_is_passed_over_for_its_neighbour_which_is_no_fallback() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            await stand.stop(VLLM_A)
            for _ in range(4):
                assert (await stand.complete("summariser", ANYWHERE))[0] == 200
            assert set(stand.asked) == {VLLM_B}
            assert await stand.samples("ai_gateway_fallbacks_total") == []
            assert await stand.value("ai_gateway_errors_total", provider="vllm", code="CONNECTION_FAILED") == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("alias", "headers", "status", "denials"),
    [
        ("unknown", ANYWHERE, 404, 0),
        ("chat", {}, 403, 0),
        ("chat", {"x-tenant": "stranger", "x-feature": "chat"}, 403, 0),
        ("smart-reasoner", IN_REGION, 403, 1),
        ("chat", {"x-tenant": "acme-corp", "x-feature": "drafting"}, 403, 1),
    ],
    ids=["unknown alias", "no tenant", "unknown tenant", "an alias that is not the tenant's", "a feature that is not"],
)
def test_a_call_that_may_not_be_made_is_refused_counted_and_audited(
    alias: str, headers: dict[str, str], status: int, denials: int
) -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            got, answer = await stand.complete(alias, headers)
            assert (got, answer["error"]["code"], stand.asked) == (status, "INVALID_REQUEST", [])
            assert sum(value for _, value in await stand.samples("ai_gateway_scope_denials_total")) == denials
            assert len(stand.audit()) == 1
            # A caller's free text becomes no label and no record.
            assert "stranger" not in json.dumps(stand.audit()) + str(
                await stand.samples("ai_gateway_tenant_requests_total")
            )

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b'{"model": 3, "messages": []}', b'{"model": "chat"}'])
def test_a_body_that_is_no_request_is_a_400(body: bytes) -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            url = f"{stand.url}/v1/chat/completions"
            async with stand.client.post(url, data=body, headers=ANYWHERE) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (400, "INVALID_REQUEST")
            assert len(stand.audit()) == 1

    asyncio.run(scenario())


def test_a_tenant_with_any_name_calls_percent_encoded() -> None:
    name = "q\"uo'te {{ $1 }} 100% ☃"

    async def scenario() -> None:
        async with gateway_stand(own_name=name) as stand:
            encoded = "q%22uo%27te%20%7B%7B%20%241%20%7D%7D%20100%25%20%E2%98%83"
            headers = {"x-tenant": encoded, "x-feature": "drafting"}
            assert (await stand.complete("chat", headers))[0] == 200
            assert stand.audit()[0]["tenant"] == name
            assert await stand.value("ai_gateway_tenant_requests_total", tenant=name) == 1

    asyncio.run(scenario())


def test_a_stream_is_passed_on_as_it_comes_and_its_first_token_is_timed() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            go_on = asyncio.Event()
            stand.answers[MUMBAI] = [0.2, chunk("first "), go_on, chunk("last"), chunk(usage=(7, 3)), DONE]
            async with stand.stream("smart-reasoner", ANYWHERE) as answer:
                assert (
                    json.loads((await answer.content.readuntil(b"\n\n"))[6:])["choices"][0]["delta"]["content"]
                    == "first "
                )
                go_on.set()
                rest = await answer.read()
            assert rest.endswith(DONE)
            assert b'"usage"' not in rest  # the gateway asked for it; the client did not
            assert await stand.value("ai_gateway_time_to_first_token_seconds_count", region="ap-south-1") == 1
            assert await stand.value("ai_gateway_time_to_first_token_seconds_sum", region="ap-south-1") >= 0.199
            assert stand.audit()[-1]["usage"]["output_tokens"] == 3
            assert stand.bodies[-1]["stream_options"] == {"include_usage": True}

    asyncio.run(scenario())


def test_a_client_that_asks_for_usage_gets_it() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.answers[MUMBAI] = [chunk("x"), chunk(usage=(7, 3)), DONE]
            async with stand.stream("smart-reasoner", ANYWHERE, stream_options={"include_usage": True}) as answer:
                assert b'"completion_tokens": 3' in await answer.read()

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [500, 429, "silence", "hang up"], ids=str)
def test_a_stream_falls_back_before_its_first_byte(answer: Any) -> None:
    async def scenario() -> None:
        async with gateway_stand(gateway_timeout_s=0.5) as stand:
            stand.answers[MUMBAI] = answer
            stand.answers[VIRGINIA] = [chunk("second"), chunk(usage=(1, 1)), DONE]
            async with stand.stream("smart-reasoner", ANYWHERE) as got:
                assert got.status == 200
                assert b"second" in await got.read()
            assert stand.audit()[-1]["fallback_step"] == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (["hang up"], "CONNECTION_FAILED"),
        (["end"], "CONNECTION_FAILED"),
        (["silence"], "UPSTREAM_TIMEOUT"),
        ([b"data: no json\n\n", DONE], "POSTCONDITION_FAILED"),
    ],
    ids=["broken off", "ended without [DONE]", "fallen silent", "not JSON"],
)
def test_a_stream_that_fails_after_its_first_byte_is_broken_off_and_counted(rest: list[Any], code: str) -> None:
    async def scenario() -> None:
        async with gateway_stand(gateway_timeout_s=0.5) as stand:
            stand.answers[MUMBAI] = [chunk("first"), *rest]
            async with stand.stream("smart-reasoner", ANYWHERE) as answer:
                await answer.content.readuntil(b"\n\n")
                with pytest.raises(aiohttp.ClientError):
                    await answer.read()
            assert stand.asked == [MUMBAI]
            assert await stand.value("ai_gateway_errors_total", code=code) == 1
            assert (stand.audit()[-1]["status"], stand.audit()[-1]["code"]) == ("failure", code)

    asyncio.run(scenario())


def test_a_client_that_hangs_up_is_not_its_providers_failure() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            more = [part for _ in range(200) for part in (chunk("more " * 50), 0.01)]
            stand.answers[MUMBAI] = [chunk("first"), *more, chunk(usage=(1, 1)), DONE]
            async with stand.stream("smart-reasoner", ANYWHERE) as answer:
                await answer.content.readuntil(b"\n\n")
                answer.close()
            end = time.monotonic() + 10
            while not stand.audit():
                assert time.monotonic() < end, "the call was never audited"
                await asyncio.sleep(0.02)
            assert stand.audit()[-1]["code"] == "CLIENT_CLOSED"
            assert await stand.samples("ai_gateway_errors_total") == []

    asyncio.run(scenario())


def test_a_models_refusal_is_counted_and_is_an_answer() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.answers[MUMBAI] = completion("", finish_reason="content_filter")
            assert (await stand.complete("smart-reasoner", ANYWHERE))[0] == 200
            assert await stand.value("ai_gateway_refusals_total", alias="smart-reasoner", kind="model") == 1

    asyncio.run(scenario())


def test_a_quota_that_is_used_up_is_told_and_not_overrun() -> None:
    async def scenario() -> None:
        async with gateway_stand(tenant_calls_per_10s=3) as stand:
            statuses = [(await stand.complete("chat", IN_REGION))[0] for _ in range(4)]
            # The fourth finds openai's and then anthropic's bucket: its own for each provider.
            assert (statuses, stand.asked) == ([200] * 4, [OPENAI] * 3 + [MUMBAI])
            labels = {"tenant": "acme-corp", "provider": "openai"}
            assert await stand.value("ai_gateway_quota_bucket_fill_ratio", **labels) == 1
            assert await stand.value("ai_gateway_quota_headroom_ratio", provider="openai") < 1

    asyncio.run(scenario())


def test_health_models_and_what_is_up() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            async with stand.client.get(f"{stand.url}/health") as answer:
                assert (answer.status, await answer.json()) == (200, {"status": "ok"})
            async with stand.client.get(f"{stand.url}/v1/models") as answer:
                assert {one["id"] for one in (await answer.json())["data"]} == {"smart-reasoner", "chat", "summariser"}
            assert await stand.value("ai_gateway_up") == 1

    asyncio.run(scenario())
