"""What gateways and cloud consoles expose, as a real Prometheus records it: attempts and not calls, codes and not statuses,
the region that the catalog knows and the gateway does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from scraping import EXPOSITIONS, TIMING, Found, exposing, near, recorded

from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import parse_board
from tiercli.errors import InvalidInput
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.bindings import binding_names, known_binding
from tiercli.signals.recorded import RECORDED
from tiercli.signals.sources import catalog_sources

Changed = Callable[[Callable[[dict[str, Any]], object]], LoadedCatalog]
CLAUDE = ("anthropic", "claude-sonnet-4-6", "ap-south-1")
OTHER = ("anthropic", "claude-sonnet-4-6", "us-east-1")
GPT = ("openai", "gpt-5-mini", "ap-south-1")
LABELS = (
    *("alias", "from", "to", "reason", "tenant", "provider", "model", "region"),
    *("fallback_step", "status", "code", "direction"),
)
P = "tier:provider:"
BY_NAME = {"anthropic/claude-sonnet-4-6": CLAUDE}
# Buckets in which half of ten attempts a second take up to 1 s, or up to 1.28 s.
P95_OF_TWO = 1.9

GATEWAYS: dict[str, tuple[dict[str, tuple[str, str, str]], Found]] = {
    "litellm": (
        {"fast-eu": CLAUDE, "flaky-us": OTHER},
        {
            P + "requests:rate5m": {(*CLAUDE, "success"): 10, (*OTHER, "failure"): 5},
            P + "errors:rate5m": {(*OTHER, "RATE_LIMITED"): 4, (*OTHER, "UPSTREAM_ERROR"): 1},
            P + "latency_seconds:p95_5m": {CLAUDE: P95_OF_TWO},
            P + "timed:rate5m": {CLAUDE: 10},
            P + "tokens:rate5m": {(*CLAUDE, "input"): 100, (*CLAUDE, "output"): 30},
            # Scrapes of /metrics are no calls; a rescued call counts for the alias that rescued it.
            "tier:gateway:calls:increase5m": {(): 11 * 5},
            "tier:alias:requests:rate5m": {("fast", *CLAUDE, "unknown"): 10},
            "tier:alias:latency_seconds:p95_5m": {("fast",): P95_OF_TWO},
            "tier:alias:fallbacks:rate5m": {("flaky", "flaky", "fast", "Openai.RateLimitError"): 0.5},
            "tier:tenant:cost_usd:rate5m": {("None",): 0.02},
        },
    ),
    "envoy-ai-gateway": (
        BY_NAME,
        {
            P + "requests:rate5m": {(*CLAUDE, "success"): 10, (*CLAUDE, "failure"): 2},
            P + "errors:rate5m": {(*CLAUDE, "UPSTREAM_ERROR"): 2},
            P + "ttft_seconds:p95_5m": {CLAUDE: 0.25 + 0.25 * 0.95},
            P + "tokens:rate5m": {(*CLAUDE, "input"): 100, (*CLAUDE, "output"): 30, (*CLAUDE, "cache_read"): 20},
        },
    ),
    "otel-genai": (
        BY_NAME,
        {
            P + "requests:rate5m": {(*CLAUDE, "success"): 10, (*CLAUDE, "failure"): 4},
            P + "errors:rate5m": {(*CLAUDE, "RATE_LIMITED"): 3, (*CLAUDE, "UPSTREAM_TIMEOUT"): 1},
            # Both metrics count the input; the new one holds.
            P + "tokens:rate5m": {(*CLAUDE, "input"): 100, (*CLAUDE, "output"): 30},
        },
    ),
    "kong-ai": (
        BY_NAME,
        {
            P + "requests:rate5m": {(*CLAUDE, "success"): 10},
            P + "latency_seconds:p95_5m": {CLAUDE: P95_OF_TWO},
            P + "tokens:rate5m": {(*CLAUDE, "input"): 100, (*CLAUDE, "output"): 30},
            "tier:gateway:calls:increase5m": {(): 11 * 5},
        },
    ),
    "bifrost": (
        BY_NAME,
        {
            P + "requests:rate5m": {(*CLAUDE, "success"): 10, (*CLAUDE, "failure"): 3},
            P + "errors:rate5m": {(*CLAUDE, "RATE_LIMITED"): 2, (*CLAUDE, "UPSTREAM_TIMEOUT"): 1},
            P + "tokens:rate5m": {(*CLAUDE, "input"): 100, (*CLAUDE, "output"): 30},
            "tier:gateway:calls:increase5m": {(): 12 * 5},
            "tier:alias:requests:rate5m": {("chat", *CLAUDE, "0"): 9, ("chat", *CLAUDE, "1"): 1},
            "tier:tenant:cost_usd:rate5m": {("acme-corp",): 0.02},
        },
    ),
    "portkey": (
        BY_NAME,
        {
            # An answer from the cache is no attempt, a refused call neither.
            P + "requests:rate5m": {(*CLAUDE, "success"): 10, (*CLAUDE, "failure"): 3},
            P + "errors:rate5m": {(*CLAUDE, "RATE_LIMITED"): 2, (*CLAUDE, "UPSTREAM_TIMEOUT"): 1},
            P + "latency_seconds:p95_5m": {CLAUDE: P95_OF_TWO},
            "tier:gateway:calls:increase5m": {(): 20 * 5},
        },
    ),
}  # fmt: skip
# Two consoles have gauges of one minute, and a minute of these tests is a second.
MINUTE = TIMING.factor
CONSOLES: dict[str, tuple[str, Found]] = {
    "bedrock-cloudwatch": (
        "anthropic",
        {
            P + "requests:rate5m": {(*CLAUDE, "success"): 10 * MINUTE, (*CLAUDE, "failure"): 3.5 * MINUTE},
            P + "requests:increase5m": {CLAUDE: 5 * 810},
            P + "errors:rate5m": {
                (*CLAUDE, "INVALID_REQUEST"): 1 * MINUTE, (*CLAUDE, "UPSTREAM_ERROR"): 0.5 * MINUTE, (*CLAUDE, "RATE_LIMITED"): 2 * MINUTE
            },
            P + "latency_seconds:p95_5m": {CLAUDE: 1.8},
            P + "tokens:rate5m": {(*CLAUDE, "input"): 100 * MINUTE, (*CLAUDE, "output"): 30 * MINUTE},
        },
    ),
    "azure-openai": (
        "openai",
        {
            P + "requests:rate5m": {(*GPT, "success"): 10 * MINUTE, (*GPT, "failure"): 3 * MINUTE},
            P + "errors:rate5m": {(*GPT, "RATE_LIMITED"): 2 * MINUTE, (*GPT, "UPSTREAM_ERROR"): 1 * MINUTE},
            P + "tokens:rate5m": {(*GPT, "input"): 100 * MINUTE, (*GPT, "output"): 30 * MINUTE},
            P + "quota_headroom:ratio": {GPT: 0.25},
        },
    ),
    "vertex-ai": (
        "openai",
        {
            P + "requests:rate5m": {(*GPT, "success"): 10, (*GPT, "failure"): 2},
            P + "errors:rate5m": {(*GPT, "RATE_LIMITED"): 2},
            P + "latency_seconds:p95_5m": {GPT: P95_OF_TWO},
            P + "tokens:rate5m": {(*GPT, "input"): 100, (*GPT, "output"): 30},
        },
    ),
}  # fmt: skip


def with_gateway(changed: Changed, binding: str, address: str, ids: dict[str, tuple[str, str, str]]) -> LoadedCatalog:
    def change(data: dict[str, Any]) -> None:
        places = {name: dict(zip(("provider", "model", "region"), place, strict=True)) for name, place in ids.items()}
        data["gateway"] = {"binding": binding, "targets": [address], "deployments": places}
        data["alarms"] = {}
        del data["sources"]

    return changed(change)


@pytest.mark.parametrize("binding", GATEWAYS)
@pytest.mark.stack
def test_a_gateway_yields(changed_hybrid: Changed, stack: StackBinaries, tmp_path: Path, binding: str) -> None:
    ids, expected = GATEWAYS[binding]
    with exposing((EXPOSITIONS / f"{binding}.txt").read_text()) as address:
        loaded = with_gateway(changed_hybrid, binding, address, ids)
        found = recorded(loaded, stack.prometheus.path, tmp_path, expected, LABELS)
    assert near(found, expected), found


@pytest.mark.stack
def test_opentelemetrys_old_name_of_the_provider_is_read_too(
    changed_hybrid: Changed, stack: StackBinaries, tmp_path: Path
) -> None:
    ids, expected = GATEWAYS["otel-genai"]
    text = (EXPOSITIONS / "otel-genai.txt").read_text().replace("gen_ai_provider_name=", "gen_ai_system=")
    with exposing(text) as address:
        loaded = with_gateway(changed_hybrid, "otel-genai", address, ids)
        found = recorded(loaded, stack.prometheus.path, tmp_path, expected, LABELS)
    assert near(found, expected), found


@pytest.mark.parametrize("binding", CONSOLES)
@pytest.mark.stack
def test_a_console_yields(changed_hybrid: Changed, stack: StackBinaries, tmp_path: Path, binding: str) -> None:
    provider, expected = CONSOLES[binding]
    with exposing((EXPOSITIONS / f"{binding}.txt").read_text()) as address:

        def change(data: dict[str, Any]) -> None:
            data["sources"] = {"console": {"binding": binding, "targets": [address], "provider": provider}}

        found = recorded(changed_hybrid(change), stack.prometheus.path, tmp_path, expected, LABELS)
    assert near(found, expected), found


@pytest.mark.stack
def test_a_kind_of_error_that_cloudwatch_has_nothing_of_hides_no_other(
    changed_hybrid: Changed, stack: StackBinaries, tmp_path: Path
) -> None:
    text = (EXPOSITIONS / "bedrock-cloudwatch.txt").read_text()
    for quiet in ("client_errors", "throttles"):
        text, changed = re.subn(rf"^(aws_bedrock_invocation_{quiet}_sum.*) \S+$", r"\1 NaN", text, flags=re.MULTILINE)
        assert changed == 1
    expected: Found = {
        P + "requests:rate5m": {(*CLAUDE, "success"): 10 * MINUTE, (*CLAUDE, "failure"): 0.5 * MINUTE},
        P + "requests:increase1m": {
            (*CLAUDE, "success"): 600,
            (*CLAUDE, "failure"): 30,
        },
        P + "requests:increase5m": {CLAUDE: 5 * 630},
        P + "errors:rate5m": {(*CLAUDE, "UPSTREAM_ERROR"): 0.5 * MINUTE},
    }
    with exposing(text) as address:
        source = {"console": {"binding": "bedrock-cloudwatch", "targets": [address], "provider": "anthropic"}}
        loaded = changed_hybrid(lambda data: data.update(sources=source))
        found = recorded(loaded, stack.prometheus.path, tmp_path, expected, LABELS)
    assert near(found, expected), found


# A counter with labels appears with its first event: it never grows from 0.
FIRST_FAILURES = {
    "litellm": 'litellm_deployment_failure_responses_total{model_id="a",exception_class="Openai.X",exception_status="None"} 3',
    "bifrost": 'bifrost_error_requests_total{provider="a",model="a",status_code="0",error_type="x"} 3',
    "vertex-ai": 'stackdriver_aiplatform_googleapis_com_publisher_model_aiplatform_googleapis_com_publisher_online_serving'
    '_model_invocation_count{location="ap-south-1",model_user_id="gpt-5-mini",response_code="0"} 3',
}  # fmt: skip


@pytest.mark.parametrize("binding", FIRST_FAILURES)
@pytest.mark.stack
def test_the_first_unknown_failure_counts(
    changed_hybrid: Changed, stack: StackBinaries, tmp_path: Path, binding: str
) -> None:
    expected: Found = {P + "unclassified_errors:increase5m": {GPT: 3}}
    with exposing(FIRST_FAILURES[binding] + "\n") as address:
        if binding in CONSOLES:
            source = {"console": {"binding": binding, "targets": [address], "provider": "openai"}}
            loaded = changed_hybrid(lambda data: data.update(sources=source))
        else:
            loaded = with_gateway(changed_hybrid, binding, address, {"a": GPT, "a/a": GPT})
        found = recorded(loaded, stack.prometheus.path, tmp_path, expected, LABELS)
    assert near(found, expected), found


def test_a_gateway_that_cannot_tell_failures_from_successes_has_no_alarm_that_rests_on_them(
    changed_hybrid: Changed,
) -> None:
    loaded = with_gateway(changed_hybrid, "kong-ai", "kong.internal:8100", BY_NAME)
    left_out = load_alarm_set(loaded, timing_of(loaded.catalog)).left_out
    assert {"ProviderDown", "ProviderErrorRateHigh"} <= set(left_out)


def test_every_signal_of_a_gateway_is_yielded_or_the_binding_says_why_not() -> None:
    wanted = {series.name for series in RECORDED if series.bound_to == "gateway"}
    for name in binding_names():
        binding = known_binding(name)
        if binding.kind == "gateway":
            missing = wanted - set(binding.signals)
            assert [signal for signal in missing if binding.why_not(signal) is None] == [], name
            assert not set(binding.unavailable) & set(binding.signals), name


def test_alarms_that_a_gateway_cannot_feed_are_left_out_with_the_reason(changed_hybrid: Changed) -> None:
    loaded = with_gateway(changed_hybrid, "litellm", "litellm.internal:4000", {"fast-eu": CLAUDE})
    left_out = load_alarm_set(loaded, timing_of(loaded.catalog)).left_out
    assert {"ZoneViolation", "AuditEmissionStopped", "AuditEmissionLow", "QuotaBucketSaturated"} <= set(left_out)
    assert "ProviderDown" not in left_out
    assert left_out["ZoneViolation"] == {"tier:tenant:zone_violations:increase5m": "litellm: it does not report zones"}


@pytest.mark.parametrize("console", [False, True])
def test_what_a_gateway_without_fallback_steps_and_quotas_cannot_fill_is_on_no_board(
    changed_hybrid: Changed, console: bool
) -> None:
    loaded = with_gateway(changed_hybrid, "litellm", "litellm.internal:4000", {"fast-eu": CLAUDE})
    if console:  # which knows nothing of aliases, and has no say about their steps
        data = dict(loaded.document.value)
        data["sources"] = {"a": {"binding": "bedrock-cloudwatch", "targets": ["c:1"], "provider": "anthropic"}}
        loaded = parse_catalog(yaml.safe_dump(data), "changed.yaml")
    alarms = load_alarm_set(loaded, timing_of(loaded.catalog))
    unbound = alarms.canonical.unbound
    boards = render_dashboards(loaded.catalog, unbound, alarms.boards)
    titles = {panel.title for path, text in boards.items() for panel in parse_board(text, path).panels}
    assert titles & {"Fallback flow", "Fallback share", "Share by step", "Quota saturation events"} == set()
    assert {"Falls by reason", "Calls by candidate"} <= titles
    assert unbound["tier:tier:fallbacks:rate5m"].startswith("litellm: which step answered is not known")
    recorded_here = {record.name for records in alarms.canonical.groups.values() for record in records}
    assert recorded_here & {"tier:tier:fallbacks:rate5m", "tier:alias:fallback:ratio5m"} == set()


def test_no_target_is_drawn_where_no_alias_is_held_to_a_score(changed_hybrid: Changed) -> None:
    def unheld(data: dict[str, Any]) -> None:
        for alias in data["aliases"].values():
            del alias["eval_baseline"]

    loaded = changed_hybrid(unheld)
    alarms = load_alarm_set(loaded, timing_of(loaded.catalog))
    boards = render_dashboards(loaded.catalog, alarms.canonical.unbound, alarms.boards)
    (scores,) = [
        panel
        for path, text in boards.items()
        for panel in parse_board(text, path).panels
        if panel.title == "Eval score"
    ]
    assert [target.legend for target in scores.targets] == ["{{alias}} score", "{{subject}} baseline"]


def problem_of(loaded: LoadedCatalog) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as raised:
        load_alarm_set(loaded, timing_of(loaded.catalog))
    (problem,) = raised.value.problems
    assert problem.location.line > 1
    return problem.found, problem.accepted


def test_an_alarm_that_the_catalog_demands_and_no_source_feeds_is_an_error(changed_hybrid: Changed) -> None:
    def change(data: dict[str, Any]) -> None:
        place = {"provider": "anthropic", "model": "claude-sonnet-4-6", "region": "ap-south-1"}
        data["gateway"] = {"binding": "litellm", "targets": ["l:1"], "deployments": {"a": place}}
        data["alarms"] = {"ZoneViolation": {"owner": "content-ai"}}

    found, accepted = problem_of(changed_hybrid(change))
    assert found.startswith(
        "ZoneViolation needs tier:tenant:zone_violations:increase5m (litellm: it does not report zones"
    )
    assert "a source that provides it" in accepted


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({"gateway": {"binding": "litellm", "targets": ["l:1"]}}, "gateway.deployments is missing", id="no ids"),
        pytest.param({"gateway": {"binding": "vllm", "targets": ["l:1"]}}, "not for the gateway", id="servers as gateway"),
        pytest.param(
            {"sources": {"a": {"binding": "bedrock-cloudwatch", "targets": ["l:1"]}}}, "count every call twice",
            id="a console of nobody",
        ),
        pytest.param(
            {"sources": {"a": {"binding": "sglang", "targets": ["l:1"]}}}, "whose labels come from the catalog's servers",
            id="servers beside the catalog's",
        ),
    ],
)  # fmt: skip
def test_a_binding_in_the_wrong_place_is_told(changed_hybrid: Changed, change: dict[str, Any], found: str) -> None:
    loaded = changed_hybrid(lambda data: data.update({**change, "alarms": {}}))
    with pytest.raises(InvalidInput) as raised:
        catalog_sources(loaded)
    assert any(found in problem.found for problem in raised.value.problems), raised.value.problems
