"""Anthropic's wire through the measuring point."""

from __future__ import annotations

from pathlib import Path

import pytest
import uvloop
from measured_stand import (
    ACME,
    CLAUDE,
    measured_stand,
)
from upstreams import TEXT, fake_anthropic

CLAUDE_OFFER = {"provider": "anthropic", "model": "claude-sonnet-4-6", "region": "ap-south-1"}


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
        (529, None, "end_turn", "RATE_LIMITED"),
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
                assert (record.usage.input_tokens, record.usage.output_tokens, record.usage_estimated) == (25, 3, True)
            assert stand.value("ai_gateway_refusals_total", kind="model") == (stop_reason == "refusal")

    uvloop.run(run())
