"""What a drill sets in the simulated gateway: records that are lost, scores, prices; and that each ends by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.sandbox.gateway_stand import GatewayStand, gateway_stand
from tiercli.errors import BackendError, InvalidInput
from tiercli.faults.proxy.client import FaultControl
from tiercli.faults.proxy.control_api import FaultRequest
from tiercli.sandbox.gateway.conditions import CONTROL_PATH, Conditions, make_condition

ACME = {"x-tenant": "acme-corp", "x-feature": "chat"}


def control_of(stand: GatewayStand) -> FaultControl:
    return FaultControl(stand.url + CONTROL_PATH, of="the simulated gateway")


async def recorded(stand: GatewayStand) -> tuple[int, float]:
    """How many calls are in the audit log, and how many are counted as recorded."""
    samples = await stand.samples("ai_gateway_audit_records_total")
    return len(stand.audit()), sum(value for _, value in samples)


def test_records_are_lost_while_it_lasts_and_the_gateway_stays_well() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand, control_of(stand) as control:
            await stand.complete("chat", ACME)
            before = await recorded(stand)
            applied = await control.apply("audit-silence", {}, {})
            assert (await stand.complete("chat", ACME))[0] == 200
            assert await recorded(stand) == before == (1, 1)
            assert await stand.value("ai_gateway_up") == 1
            await control.clear(applied)
            await stand.complete("chat", ACME)
            assert await recorded(stand) == (2, 2)
            assert await stand.value("ai_gateway_tenant_requests_total", tenant="acme-corp") == 3

    asyncio.run(scenario())


def test_a_share_of_the_records_is_lost() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand, control_of(stand) as control:
            await control.apply("audit-loss", {}, {"share": 0.5})
            for _ in range(100):
                await stand.complete("chat", ACME)
            lines, counted = await recorded(stand)
            assert lines == counted
            assert 25 <= lines <= 75

    asyncio.run(scenario())


def test_the_score_of_one_alias_falls() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand, control_of(stand) as control:
            applied = await control.apply("eval-drift", {"alias": "chat"}, {"score": 0.5})
            scores = {labels["alias"]: value for labels, value in await stand.samples("ai_gateway_eval_score")}
            assert scores == {"smart-reasoner": 0.92, "chat": 0.5, "summariser": 0.9}
            await control.clear(applied)
            assert await stand.value("ai_gateway_eval_score", alias="chat") == 0.88

    asyncio.run(scenario())


def test_a_provider_costs_more() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand, control_of(stand) as control:
            await stand.complete("chat", ACME)
            usual = await stand.value("ai_gateway_cost_usd_total")
            await control.apply("price-change", {"provider": "openai"}, {"factor": 1000})
            await stand.complete("chat", ACME)
            assert await stand.value("ai_gateway_cost_usd_total") == pytest.approx(1001 * usual)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "settings", "said"),
    [
        ("audit-loss", {"share": 2}, "has mistakes"),
        ("no-such", {}, "unknown fault"),
        ("outage", {}, "injected by the proxy, not by the gateway"),
    ],
)
def test_what_is_no_condition_is_refused(fault: str, settings: dict[str, Any], said: str) -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand, control_of(stand) as control:
            with pytest.raises(InvalidInput, match=said):
                await control.apply(fault, {}, settings)

    asyncio.run(scenario())


class SetClock(asyncio.SelectorEventLoop):
    """An event loop whose time is set."""

    now = 0.0

    def time(self) -> float:
        return self.now

    async def advance_to(self, now: float) -> None:
        self.now = now
        for _ in range(5):  # what is due runs, and what that starts
            await asyncio.sleep(0)


def test_a_condition_that_is_not_renewed_ends_by_itself() -> None:
    loop = SetClock()

    async def scenario() -> None:
        conditions = Conditions()
        await conditions.leases.apply(make_condition("a", FaultRequest(fault="audit-silence", lease_s=5.0)))
        assert conditions.lose_record()
        await loop.advance_to(4.9)
        assert conditions.leases.renew("a")
        await loop.advance_to(9.8)
        assert conditions.lose_record()
        await loop.advance_to(10.0)
        assert not conditions.leases.renew("a")
        assert not conditions.lose_record()

    try:
        loop.run_until_complete(scenario())
    finally:
        loop.close()


def test_a_condition_that_ended_by_itself_is_not_begun_again_unsaid() -> None:
    async def scenario() -> None:
        async with gateway_stand() as stand, control_of(stand) as control:
            applied = await control.apply("audit-silence", {}, {})
            await control.renew_all()
            async with control_of(stand) as other:
                await other.clear(applied)
            with pytest.raises(BackendError, match="ended by itself"):
                await control.renew_all()
            await stand.complete("chat", ACME)
            assert await recorded(stand) == (1, 1)

    asyncio.run(scenario())
