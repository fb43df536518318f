"""Faults, and clients that hang up, as the measuring point counts them: from outside, as the client sees it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from measured_stand import (
    CLAUDE,
    OFFER,
    MeasuredStand,
    answering,
    openai_answer,
    scenario,
    silent,
    streaming,
)

from tests.sandbox.gateway_stand import DONE, chunk
from tiercli.errors import InvalidInput
from tiercli.measuring import observed_call


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

    scenario(tmp_path, silent, check)


def test_a_fault_that_changes_openais_answers_is_refused_on_another_wire(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        (route,) = await stand.control.routes()
        assert (route.labels["provider"], "outage" in route.faults) == ("anthropic", True)
        assert not {"refusal-drift", "output-length-drift", "scrape-failure", "gateway-down"} & set(route.faults)
        with pytest.raises(InvalidInput, match="cannot have the fault refusal-drift"):
            await stand.control.apply("refusal-drift", {"provider": "anthropic"})

    scenario(tmp_path, answering(b"{}"), check, CLAUDE)


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
    scenario(tmp_path, streaming(*parts) if stream else silent, check)


def test_who_hangs_up_after_the_last_event_had_it_all(tmp_path: Path) -> None:
    async def check(stand: MeasuredStand) -> None:
        body = {"model": "gpt-5-mini", "stream": True}
        async with stand.client.post(f"{stand.url}/v1/chat/completions", json=body) as answer:
            while DONE not in await answer.content.readany():
                pass
        (record,) = await stand.records()
        assert (record.status, record.code) == ("success", None)

    scenario(tmp_path, streaming(chunk("a"), 0.02, DONE, 5.0), check)
