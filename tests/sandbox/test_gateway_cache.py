"""The simulated gateway's cache, credentials and eval scores: what dashboards show of them must be true."""

from __future__ import annotations

import asyncio

import pytest
from gateway_stand import gateway_stand

ANYWHERE = {"x-tenant": "globex-media", "x-feature": "drafting"}
IN_REGION = {"x-tenant": "acme-corp", "x-feature": "chat"}
LOOKUPS = "ai_gateway_cache_lookups_total"


def test_the_same_question_is_answered_from_the_cache_and_costs_nothing() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            first = await stand.complete("chat", IN_REGION, temperature=0)
            spent = await stand.value("ai_gateway_cost_usd_total")
            again = await stand.complete("chat", IN_REGION, temperature=0)
            assert again == first
            assert len(stand.asked) == 1
            assert await stand.value("ai_gateway_cost_usd_total") == spent > 0
            assert await stand.value(LOOKUPS, alias="chat", kind="exact", result="miss") == 1
            assert await stand.value(LOOKUPS, alias="chat", kind="exact", result="hit") == 1
            miss, hit = stand.audit()
            assert (miss["cache_status"], hit["cache_status"]) == ("exact_miss", "exact_hit")
            assert (hit["status"], hit["cost_usd"], hit["model_used"]) == ("success", 0, None)
            assert hit["route_resolution"]["reason"] == "answered from the cache"
            # A client call like any other: it counts as one, in the region that answered it first.
            calls = await stand.samples("ai_gateway_tenant_requests_total", status="success")
            assert [value for _, value in calls] == [2]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 0, "messages": [{"role": "user", "content": "another question"}]},
        {"temperature": 0, "max_tokens": 7},
        {"temperature": 0.7},
        {},
    ],
)
def test_another_question_is_asked(other: dict[str, object]) -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            await stand.complete("chat", IN_REGION, temperature=0)
            await stand.complete("chat", IN_REGION, **other)
            assert len(stand.asked) == 2

    asyncio.run(scenario())


def test_an_answer_from_outside_the_tenants_zone_is_not_given_again() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            stand.served_region = "us-east-1"
            await stand.complete("chat", IN_REGION, temperature=0)
            await stand.complete("chat", ANYWHERE, temperature=0)
            stand.served_region = None
            await stand.complete("chat", IN_REGION, temperature=0)
            await stand.complete("chat", ANYWHERE, temperature=0)
            # Asked again, and served where it may be; who may be served anywhere gets what was kept.
            assert len(stand.asked) == 3
            assert await stand.value("ai_gateway_zone_violations_total", tenant="acme-corp", region="us-east-1") == 1

    asyncio.run(scenario())


def test_tenants_share_no_answers_and_failures_are_not_kept() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            await stand.complete("summariser", IN_REGION, temperature=0)
            await stand.complete("summariser", ANYWHERE, temperature=0)
            assert len(stand.asked) == 2
            for endpoint in list(stand.runners):
                stand.answers[endpoint] = 500
            status, _ = await stand.complete("chat", ANYWHERE, temperature=0)
            assert status == 502
            asked = len(stand.asked)
            await stand.complete("chat", ANYWHERE, temperature=0)
            assert len(stand.asked) > asked

    asyncio.run(scenario())


def test_a_credential_is_issued_once_and_used_until_it_expires() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            for _ in range(3):
                await stand.complete("smart-reasoner", ANYWHERE)
            assert len(set(stand.authorizations)) == 1
            assert stand.authorizations[0].startswith("Bearer ")
            assert await stand.value("ai_gateway_credentials_issued_total", provider="anthropic") == 1
            exposed = await stand.exposition()
            assert stand.authorizations[0].removeprefix("Bearer ") not in exposed + str(stand.audit())

    asyncio.run(scenario())


def test_eval_scores_are_what_the_catalog_holds_them_to() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand:
            scores = {labels["alias"]: value for labels, value in await stand.samples("ai_gateway_eval_score")}
            assert scores == {"smart-reasoner": 0.92, "chat": 0.88, "summariser": 0.9}

    asyncio.run(scenario())
