"""`--map litellm`: LiteLLM's spend logs and what it gives to callbacks, as metrics and in reports. The rows are LiteLLM's own:
tests/audit/litellm/README.md says where they are from."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import HYBRID, Done
from tests.exporters.test_audit_exporter import following, wait_for
from tiercli.audit.field_map import RowError, load_field_map, mapped_rows
from tiercli.audit.record import AuditRecord
from tiercli.catalog.loading import load_catalog

Run = Callable[..., Done]
ROWS = Path(__file__).parent / "litellm"
SPEND, STANDARD, PUBLISHED = (ROWS / f"{name}.jsonl" for name in ("spend-logs", "standard-logging", "published"))
CATALOG = HYBRID.parent / "litellm-vllm.yaml"
US, EU, LOCAL = "gpt-5-mini/openai/us", "gpt-5-mini/openai/eu", "llama-3.3-70b/vllm/frankfurt-dc"


def counted(run_tiercli: Run, rows: Path, field_map: str = "litellm") -> dict[str, dict[str, float]]:
    """The exporter's samples: by metric, then by the values of its labels in the order of the labels' names."""
    done = run_tiercli("exporter", "audit", str(rows), "--map", field_map, "--catalog", str(CATALOG))
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(done.stdout):
        for sample in family.samples:
            labels = "/".join(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def asked(run_tiercli: Run, *arguments: str) -> list[dict[str, Any]]:
    """The rows of a report."""
    done = run_tiercli("audit", "report", "--format", "json", "--map", "litellm", *arguments)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return rows


def records(rows: Path) -> list[AuditRecord]:
    deployments = load_catalog(CATALOG).catalog.gateway.deployments
    made = [record for _, record in mapped_rows(rows, load_field_map(Path("litellm")), deployments)]
    assert not [record for record in made if isinstance(record, RowError)]
    return [record for record in made if isinstance(record, AuditRecord)]


def test_spend_logs_say_calls_attempts_tokens_cost_and_violations(run_tiercli: Run) -> None:
    seen = counted(run_tiercli, SPEND)
    assert seen["ai_gateway_audit_records_total"] == {"": 16}
    assert seen["tiercli_audit_malformed_lines_total"] == {"": 0}
    # What came from the cache, or failed before a provider was called, is a call but no attempt.
    assert seen["ai_gateway_tenant_requests_total"] == {
        "us/success/web-shop": 1,
        "us/failure/web-shop": 1,  # the client hung up
        "frankfurt-dc/success/web-shop": 1,
        "eu/success/web-shop": 1,
        "us/success/catalogue": 3,
        "us/failure/catalogue": 5,
        "/success/catalogue": 1,  # embed-eu: not in the catalog
        "/failure/catalogue": 2,
        "/failure/": 1,
    }
    assert seen["ai_gateway_requests_total"] == {
        f"{US}/success": 4,
        f"{US}/failure": 5,
        f"{LOCAL}/success": 1,
        f"{EU}/success": 1,
        "///success": 1,
        "///failure": 1,
    }
    assert seen["ai_gateway_errors_total"] == {
        f"RATE_LIMITED/{US}": 1,
        f"INVALID_REQUEST/{US}": 1,
        f"AUTH_FAILED/{US}": 1,  # 401
        f"UPSTREAM_TIMEOUT/{US}": 1,
        f"POSTCONDITION_FAILED/{US}": 1,
        "CONNECTION_FAILED///": 1,  # the deployment `gone`
    }
    assert seen["ai_gateway_postcondition_violations_total"] == {"search/gpt-5-mini/openai": 1}
    # Two calls of a tenant that may only be served in Europe.
    assert seen["ai_gateway_zone_violations_total"] == {"us/web-shop": 2}
    # The alias that was asked for, also where a fallback answered.
    assert seen["ai_gateway_alias_requests_total"] == {
        f"search/1/{US}": 3,
        f"chat/0/{LOCAL}": 1,
        f"chat/1/{EU}": 1,
    }
    assert seen["tiercli_audit_unknown_names_total"][""] > 0


def test_tokens_are_those_that_providers_stated(run_tiercli: Run) -> None:
    tokens = counted(run_tiercli, SPEND)["ai_gateway_tokens_total"]
    # Of 1200 in, 1024 were from the provider's cache; estimates of failures and answers from LiteLLM's cache are not in it.
    assert tokens[f"input/{LOCAL}"] == 176
    assert tokens[f"cache_read/{LOCAL}"] == 1024
    assert tokens[f"output/{LOCAL}"] == 40
    assert tokens[f"input/{US}"] == 3 * 176 + 8
    assert tokens[f"output/{US}"] == 3 * 40 + 1
    assert tokens[f"cache_read/{US}"] == 3 * 1024


def test_no_price_is_not_a_price_of_nothing(run_tiercli: Run) -> None:
    seen = counted(run_tiercli, SPEND)
    assert seen["ai_gateway_unpriced_requests_total"] == {LOCAL: 1}
    cost = seen["ai_gateway_cost_usd_total"]
    assert cost["chat//web-shop"] == pytest.approx(0.0001496)
    assert sum(cost.values()) == pytest.approx(
        sum(json.loads(line)["spend"] for line in SPEND.read_text().splitlines())
    )
    [local] = [
        row for row in asked(run_tiercli, "--by", "model", str(SPEND)) if row["model"] == "hosted_vllm/llama-3.3-70b"
    ]
    assert (local["unpriced"], local["cost_usd"]) == (1, 0)
    by_cache = {row["cache"]: row["unpriced"] for row in asked(run_tiercli, "--by", "cache", str(SPEND))}
    assert by_cache["hit"] == 0  # an answer from the cache costs nothing, and that is known


def test_metadata_is_read_as_text_and_as_an_object(run_tiercli: Run, tmp_path: Path) -> None:
    """LiteLLM hands it to the database as text; /spend/logs answers with an object."""
    rows = [json.loads(line) for line in SPEND.read_text(encoding="utf-8").splitlines()]
    assert isinstance(rows[0]["metadata"], str)
    answered = tmp_path / "answered.jsonl"
    answered.write_text("".join(json.dumps(row | {"metadata": json.loads(row["metadata"])}) + "\n" for row in rows))
    assert counted(run_tiercli, answered) == counted(run_tiercli, SPEND)


def test_a_callback_gets_a_line_for_each_attempt(run_tiercli: Run) -> None:
    spend, standard = counted(run_tiercli, SPEND), counted(run_tiercli, STANDARD)
    more = {
        labels: value - spend["ai_gateway_requests_total"].get(labels, 0)
        for labels, value in standard["ai_gateway_requests_total"].items()
    }
    # The attempt that a fallback rescued.
    assert {labels: value for labels, value in more.items() if value} == {f"{LOCAL}/failure": 1}
    assert standard["ai_gateway_errors_total"][f"UPSTREAM_ERROR/{LOCAL}"] == 1
    for name in ("tokens_total", "unpriced_requests_total", "zone_violations_total", "postcondition_violations_total"):
        assert standard[f"ai_gateway_{name}"] == spend[f"ai_gateway_{name}"]
    assert standard["ai_gateway_time_to_first_token_seconds_count"] == {US: 2}  # only of streams


def test_spend_logs_are_followed_and_counted_once(tmp_path: Path) -> None:
    log, state = tmp_path / "spend-logs.jsonl", str(tmp_path / "state.json")
    options = ("--map", "litellm", "--catalog", str(CATALOG), "--state", state, "--from-start")
    lines = SPEND.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:9]), encoding="utf-8")
    with following(log, *options) as (process, url):
        wait_for(url, 9)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with log.open("a", encoding="utf-8") as stream:
        stream.writelines(lines[9:])
    with following(log, *options) as (_, url):
        seen = wait_for(url, 16)
    assert seen["ai_gateway_audit_records_total"] == 16
    assert seen["ai_gateway_zone_violations_total"] == 2


def test_a_row_becomes_a_record() -> None:
    first, *_, hung_up = records(SPEND)
    assert first.model_used is not None
    assert (first.model_used.provider, first.model_used.model_version, first.model_used.region) == (
        "openai",
        "gpt-5-mini",
        "us",
    )
    assert (first.tenant, first.model_alias, first.caller) == ("web-shop", "search", "ana")
    assert first.credential_id == hashlib.sha256(b"sk-web-shop").hexdigest()
    assert first.latency_s == pytest.approx(1.073)
    assert first.seconds == pytest.approx(1_795_819_264.256676)
    assert (hung_up.status, hung_up.code, hung_up.http_status) == ("failure", "CLIENT_CLOSED", 499)
    by_code = {record.code: record.http_status for record in records(SPEND)}
    assert by_code["RATE_LIMITED"] == 429
    assert by_code["INVALID_REQUEST"] == 400


def test_what_published_rows_do_not_say_stays_unknown() -> None:
    spend, standard, payload = records(PUBLISHED)
    assert (spend.tenant, spend.model_alias, spend.caller) == (None, None, None)
    for record in (spend, standard):
        assert record.credential_id is None
        assert record.model_used is not None
        assert (record.model_used.provider, record.model_used.model_version) == ("openai", "gpt-4o")
        assert (record.model_used.region, record.cache_status, record.code) == ("", None, None)
        assert record.usage is not None
        assert (record.usage.input_tokens, record.usage.output_tokens) == (10, 20)
        assert (record.cost_usd, record.latency_s) == (pytest.approx(0.000225), pytest.approx(0.004583, abs=1e-6))
    assert (payload.caller, payload.model_alias) == ("default_user_id", "fake-openai-endpoint")
    assert payload.seconds == pytest.approx(1_739_235_379.84533)


def test_a_report_says_who_called_and_with_what(run_tiercli: Run) -> None:
    rows = asked(run_tiercli, "--by", "credential,caller", "--where", "tenant=web-shop", str(SPEND))
    [row] = rows
    assert (row["credential"], row["caller"], row["calls"]) == (
        hashlib.sha256(b"sk-web-shop").hexdigest(),
        "ana",
        4,
    )
    hidden = asked(run_tiercli, "--by", "caller", "--hash-caller", "--where", "caller=ana", str(SPEND))
    assert [(row["caller"], row["calls"]) for row in hidden] == [(hashlib.sha256(b"ana").hexdigest()[:16], 4)]


def test_a_report_has_regions_with_the_catalog(run_tiercli: Run) -> None:
    bare = asked(run_tiercli, "--by", "provider,region", str(SPEND))
    assert {(row["provider"], row["region"]) for row in bare} == {
        ("openai", None),
        ("hosted_vllm", None),
        (None, None),
    }
    placed = asked(run_tiercli, "--by", "region", "--catalog", str(CATALOG), str(SPEND))
    assert {row["region"] for row in placed} == {"us", "eu", "frankfurt-dc", None}


def test_a_name_of_no_map_is_told_with_the_nearest(run_tiercli: Run) -> None:
    done = run_tiercli("exporter", "audit", str(SPEND), "--map", "litelm", "--catalog", str(CATALOG))
    assert done.returncode == 2
    assert "--map: unknown map 'litelm'; did you mean 'litellm'?" in done.stderr


def test_a_copy_of_the_map_can_hide_callers(run_tiercli: Run, tmp_path: Path) -> None:
    text = (HYBRID.parent / "audit-maps" / "litellm.yaml").read_text(encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("caller: {", "caller: {hash: true, "), encoding="utf-8")
    [first, *_] = [record for _, record in mapped_rows(SPEND, load_field_map(mine))]
    assert isinstance(first, AuditRecord)
    assert first.caller == hashlib.sha256(b"ana").hexdigest()[:16]
