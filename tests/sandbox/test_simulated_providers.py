"""The simulated providers over real HTTP: the wire format, the latencies, the errors, the queue."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import HYBRID
from tiercli.catalog.loading import load_catalog
from tiercli.sandbox.plan import Endpoint, plan_estate
from tiercli.sandbox.providers.answers import usual_output_tokens
from tiercli.sandbox.providers.process import SimulatedEndpoint
from tiercli.serving import listen

FAST = Endpoint(
    key="vllm/mumbai-dc/vllm-a",
    provider="vllm",
    region="mumbai-dc",
    tier="local",
    server="vllm-a",
    models=("small", "large"),
    p50_seconds=0.02,
    p95_seconds=0.04,
    error_ratio=0.0,
    concurrency=None,
    gpus=1,
    upstream_port=0,
    proxy_port=0,
)
ASKED: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "tell me " * 40}]}

# What Prometheus 2.42 asks with: it prefers OpenMetrics, in which a client may write other names.
AS_PROMETHEUS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}


@asynccontextmanager
async def serving(**changes: Any) -> AsyncIterator[aiohttp.ClientSession]:
    endpoint = dataclasses.replace(FAST, **changes)
    plan = plan_estate(load_catalog(HYBRID).catalog, folder=Path(), allocate=lambda: 0, token_file=Path("token"))
    runner = await listen(SimulatedEndpoint(endpoint, plan).application(), 0)
    try:
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(limit=0)) as client:
            yield client
    finally:
        await runner.cleanup()


async def _complete(client: aiohttp.ClientSession, **changes: Any) -> tuple[int, dict[str, Any]]:
    async with client.post("/v1/chat/completions", json={**ASKED, **changes}) as answer:
        return answer.status, await answer.json()


async def _events(client: aiohttp.ClientSession, **changes: Any) -> list[Any]:
    async with client.post("/v1/chat/completions", json={**ASKED, "stream": True, **changes}) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        texts = (await answer.text()).strip().split("\n\n")
        assert all(text.startswith("data: ") for text in texts)
        return [text.removeprefix("data: ") for text in texts]


def test_an_answer_is_a_chat_completion_with_its_usage() -> None:
    async def scenario() -> None:
        async with serving() as client:
            status, answer = await _complete(client)
            assert (status, answer["object"], answer["model"]) == (200, "chat.completion", "small")
            assert answer["choices"][0]["message"]["role"] == "assistant"
            assert answer["choices"][0]["finish_reason"] == "stop"
            usage = answer["usage"]
            assert usage["prompt_tokens"] == len("tell me " * 40) // 4
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            assert len(answer["choices"][0]["message"]["content"].split()) == usage["completion_tokens"]

    asyncio.run(scenario())


@pytest.mark.parametrize("wanted", [True, False], ids=["usage asked for", "usage not asked for"])
def test_a_stream_is_chunks_then_usage_if_asked_then_done(wanted: bool) -> None:
    async def scenario() -> None:
        async with serving() as client:
            events = await _events(client, stream_options={"include_usage": wanted})
            assert events[-1] == "[DONE]"
            chunks = [json.loads(event) for event in events[:-1]]
            assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
            assert [bool(chunk.get("usage")) for chunk in chunks] == [False] * (len(chunks) - 1) + [wanted]
            choices = [choice for chunk in chunks for choice in chunk["choices"]]
            assert choices[0]["delta"]["role"] == "assistant"
            assert choices[-1]["finish_reason"] == "stop"
            text = "".join(choice["delta"].get("content", "") for choice in choices)
            if wanted:
                assert len(text.split()) == chunks[-1]["usage"]["completion_tokens"]

    asyncio.run(scenario())


def test_a_stream_begins_after_its_share_and_drips() -> None:
    async def scenario() -> None:
        async with serving(p50_seconds=0.6, p95_seconds=0.6) as client:
            began = time.perf_counter()
            async with client.post("/v1/chat/completions", json={**ASKED, "stream": True}) as answer:
                await answer.content.readuntil(b"\n\n")
                first = time.perf_counter() - began
                await answer.read()
                assert first >= 0.2
                assert time.perf_counter() - began >= first + 0.35

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"model": "small"}', 400),
        (b'{"model": "small", "messages": [1]}', 400),
        (b'{"model": "small", "messages": [], "max_tokens": "many"}', 400),
        (b'{"model": "unknown", "messages": []}', 404),
    ],
)
def test_a_bad_request_is_told_as_openai_tells_it(body: bytes, status: int) -> None:
    async def scenario() -> None:
        async with serving() as client, client.post("/v1/chat/completions", data=body) as answer:
            assert answer.status == status
            assert set((await answer.json())["error"]) == {"message", "type", "code"}

    asyncio.run(scenario())


def test_latencies_have_the_catalogs_median_and_95th_percentile() -> None:
    async def scenario() -> None:
        async with serving(p50_seconds=0.2, p95_seconds=0.4) as client:

            async def seconds() -> float:
                began = time.perf_counter()
                await _complete(client)
                return time.perf_counter() - began

            taken = statistics.quantiles(await asyncio.gather(*(seconds() for _ in range(200))), n=20)
            # A machine under load answers later, never sooner.
            assert taken[9] >= 0.17
            assert taken[18] >= 0.3

    asyncio.run(scenario())


def test_errors_come_in_the_catalogs_share() -> None:
    async def scenario() -> None:
        async with serving(error_ratio=0.5) as client:
            statuses = [status for status, _ in await asyncio.gather(*(_complete(client) for _ in range(100)))]
            assert set(statuses) == {200, 500}
            assert 25 <= statuses.count(500) <= 75

    asyncio.run(scenario())


async def _samples(client: aiohttp.ClientSession) -> dict[tuple[str, str], Any]:
    async with client.get("/metrics", headers=AS_PROMETHEUS) as answer:
        families = text_string_to_metric_families(await answer.text())
    return {(sample.name, sample.labels["model_name"]): sample for family in families for sample in family.samples}


def test_what_exceeds_the_concurrency_waits_and_is_exposed_as_vllm_does() -> None:
    async def scenario() -> None:
        async with serving(concurrency=2, p50_seconds=1.0, p95_seconds=1.0) as client:
            began = time.perf_counter()
            calls = asyncio.gather(*(_complete(client) for _ in range(5)))
            samples: dict[tuple[str, str], Any] = {}
            while not samples or samples["vllm:num_requests_waiting", "small"].value < 3:
                assert time.perf_counter() - began < 1.0, "the queue was never seen"
                samples = await _samples(client)
            assert [status for status, _ in await calls] == [200] * 5
            assert time.perf_counter() - began >= 2.9  # three turns of two
        assert samples["vllm:num_requests_running", "small"].value == 2
        assert samples["vllm:num_requests_waiting", "small"].value == 3
        assert samples["vllm:num_requests_waiting", "large"].value == 0

    asyncio.run(scenario())


def test_a_caller_that_hangs_up_in_the_queue_gives_its_place_back() -> None:
    async def scenario() -> None:
        async with serving(concurrency=1, p50_seconds=0.1, p95_seconds=0.1) as client:
            hasty = [asyncio.create_task(_complete(client)) for _ in range(3)]
            await asyncio.sleep(0.05)
            for task in hasty:
                task.cancel()
            await asyncio.gather(*hasty, return_exceptions=True)
            assert (await asyncio.wait_for(_complete(client), 5))[0] == 200
            async with client.get("/metrics", headers=AS_PROMETHEUS) as answer:
                assert 'vllm:num_requests_running{engine="0",model_name="small"} 0.0' in await answer.text()

    asyncio.run(scenario())


def test_a_cloud_provider_has_no_metrics_of_its_own() -> None:
    async def scenario() -> None:
        async with serving(tier="cloud", server=None) as client, client.get("/metrics") as answer:
            assert answer.status == 404

    asyncio.run(scenario())


def test_models_and_health_are_told() -> None:
    async def scenario() -> None:
        async with serving() as client:
            async with client.get("/v1/models") as answer:
                assert [one["id"] for one in (await answer.json())["data"]] == ["small", "large"]
            async with client.get("/health") as answer:
                assert answer.status == 200

    asyncio.run(scenario())


def test_answers_keep_to_max_tokens_and_have_their_own_length_by_alias_and_feature() -> None:
    async def scenario() -> None:
        async with serving() as client:
            answers = await asyncio.gather(*(_complete(client, max_tokens=3) for _ in range(20)))
            assert {answer["usage"]["completion_tokens"] for _, answer in answers} <= {1, 2, 3}
            for alias in ("chat", "summariser"):
                metadata = {"alias": alias, "feature": "search"}
                answers = await asyncio.gather(*(_complete(client, metadata=metadata) for _ in range(300)))
                median = statistics.median(answer["usage"]["completion_tokens"] for _, answer in answers)
                assert median == pytest.approx(usual_output_tokens(alias, "search"), rel=0.25)

    asyncio.run(scenario())


def test_a_local_server_counts_what_it_finished_as_vllm_does() -> None:
    async def scenario() -> None:
        async with serving(concurrency=1) as client:
            answers = await asyncio.gather(*(_complete(client) for _ in range(3)))
            async with client.get("/metrics", headers=AS_PROMETHEUS) as exposed:
                families = text_string_to_metric_families(await exposed.text())
            found = {
                sample.name: sample.value
                for family in families
                for sample in family.samples
                if sample.labels.get("model_name") == "small" and "le" not in sample.labels
            }
            assert found["vllm:request_success_total"] == 3
            usage = [answer["usage"] for _, answer in answers]
            assert found["vllm:prompt_tokens_total"] == sum(one["prompt_tokens"] for one in usage)
            assert found["vllm:generation_tokens_total"] == sum(one["completion_tokens"] for one in usage)
            assert found["vllm:e2e_request_latency_seconds_count"] == 3
            assert found["vllm:e2e_request_latency_seconds_sum"] > found["vllm:time_to_first_token_seconds_sum"]
            assert found["vllm:time_to_first_token_seconds_sum"] > found["vllm:request_queue_time_seconds_sum"] > 0
            assert found["vllm:kv_cache_usage_perc"] == 0

    asyncio.run(scenario())
