"""Whose calls they are, in the catalog's names, and that nothing else of a call is kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from measured_stand import (
    ACME,
    CLAUDE,
    GPT,
    PROMPT,
    MeasuredStand,
    answering,
    openai_answer,
    scenario,
)

from tiercli.audit.audit_log import audit_line
from tiercli.audit.record import AuditRecord, ModelUsed

HASH = hashlib.sha256(b"sk-clients-own").hexdigest()[:16]


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
    ("headers", "said", "expected"),
    [
        pytest.param({}, {}, None, id="nobody says"),
        pytest.param({}, {"user": "ana"}, "ana", id="OpenAI's field"),
        pytest.param({}, {"metadata": {"user_id": "ana"}}, "ana", id="Anthropic's field"),
        pytest.param({"x-caller": "b%C3%A9la"}, {"user": "ana"}, "b\u00e9la", id="the header before the field"),
        pytest.param({}, {"user": {"name": "ana"}, "metadata": [1]}, None, id="fields of another form"),
        pytest.param({}, {"user": "a" * 5000}, "a" * 200, id="more than a name"),
    ],
)
def test_the_caller_is_who_the_call_says(
    tmp_path: Path, headers: dict[str, str], said: dict[str, object], expected: str | None
) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.call(headers=headers, **said)
        (record,) = await stand.records()
        assert (record.caller, record.model_alias) == (expected, "chat")

    scenario(tmp_path, answering(openai_answer()), check)


@pytest.mark.parametrize(
    ("endpoint", "headers", "expected"),
    [
        pytest.param(GPT, {"Authorization": "Bearer sk-clients-own"}, HASH, id="a bearer token"),
        pytest.param(GPT, {"authorization": "bearer  sk-clients-own"}, HASH, id="in another spelling"),
        pytest.param(
            CLAUDE, {"x-api-key": "sk-clients-own", "Authorization": "Bearer x"}, HASH, id="Anthropic's header"
        ),
        pytest.param(GPT, {"Authorization": "Basic c2stY2xpZW50cy1vd24="}, None, id="a password"),
        pytest.param(GPT, {"Authorization": "Bearer "}, None, id="an empty token"),
        pytest.param(GPT, {}, None, id="nothing"),
    ],
)
def test_a_credential_is_known_by_its_hash_alone(
    tmp_path: Path, endpoint: dict[str, str], headers: dict[str, str], expected: str | None
) -> None:
    async def check(stand: MeasuredStand) -> None:
        await stand.call(headers=headers, path="/v1/messages" if endpoint is CLAUDE else "/v1/chat/completions")
        (record,) = await stand.records()
        assert record.credential_id == expected
        kept = stand.log.read_text() + stand.exposition()
        assert not {word for word in ("clients-own", "c2stY2xpZW50") if word in kept}

    scenario(tmp_path, answering(openai_answer()), check, endpoint)


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


def test_what_is_no_text_is_written_as_far_as_it_is() -> None:
    """A server's header may hold any bytes; one call's must not lose those that ended with it."""
    used = ModelUsed(provider="openai", model_version="gpt-5-mini", region="mumbai\udcff")
    record = AuditRecord(at=1.0, tenant="caf\u00e9", model_used=used, region="mumbai\udcff")
    said = json.loads(audit_line(record))
    assert (said["tenant"], said["region"], said["model_used"]["region"]) == ("caf\u00e9", "mumbai?", "mumbai?")
    assert json.loads(audit_line(AuditRecord(at=1.0, tenant="caf\u00e9")))["tenant"] == "caf\u00e9"
