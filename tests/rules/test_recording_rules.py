"""The recording rules alone, over raw metrics as exporters and scrapes really give them, in a real promtool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.output.tree import to_yaml
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alerting import build_rule_groups
from tiercli.signals.rule import rule_file_content
from tiercli.signals.timing import Timing

OFFER = 'provider="anthropic", model="claude-sonnet-4-6", region="ap-south-1"'
LABELS = '{model="claude-sonnet-4-6", provider="anthropic", region="ap-south-1"}'
PLACE = '{provider="anthropic", region="ap-south-1"}'
A = 'job="tiercli-gateway", instance="a"'
B = 'job="tiercli-gateway", instance="b"'
# Under this factor a day is five minutes, which a test has time for.
DAY_IN_5M = 288.0

Series = Mapping[str, str]


def healthy(*instances: tuple[str, str, str]) -> Series:
    """ai_gateway_up and up of some instances: (job and instance, gateway's own word, scrape)."""
    series = {}
    for labels, own, scrape in instances:
        series[f"ai_gateway_up{{{labels}}}"] = own
        series[f"up{{{labels}}}"] = scrape
    return series


def attempts(status: str, values: str, instance: str = A) -> Series:
    return {f'ai_gateway_requests_total{{{instance}, {OFFER}, status="{status}"}}': values}


def errors(code: str, values: str) -> Series:
    return {f'ai_gateway_errors_total{{{A}, {OFFER}, code="{code}"}}': values}


def durations(fast: str, slow: str) -> Series:
    """Attempts of at most half a second, and of at most two."""
    bucket = f"ai_gateway_request_duration_seconds_bucket{{{A}, {OFFER}"
    return {f'{bucket}, le="0.5"}}': fast, f'{bucket}, le="2"}}': slow, f'{bucket}, le="+Inf"}}': slow}


def call_durations(fast: str, slow: str) -> Series:
    """Calls of an alias that took at most half a second, and at most two."""
    bucket = f'ai_gateway_alias_request_duration_seconds_bucket{{{A}, alias="chat"'
    return {f'{bucket}, le="0.5"}}': fast, f'{bucket}, le="2"}}': slow, f'{bucket}, le="+Inf"}}': slow}


HEALTHY = "tier:gateway:healthy_instances:count"
ERROR_RATIO = "tier:provider:error_ratio:rate5m"
VIOLATIONS = "tier:tenant:zone_violations:increase1d"
COMPLETE = "tier:gateway:audit_completeness:ratio5m"
ALIAS_P95 = "tier:alias:latency_seconds:p95_5m"
P95 = "tier:provider:latency_seconds:p95_5m"
VIOLATED = f'ai_gateway_zone_violations_total{{{A}, tenant="acme-corp", region="us-east-1"}}'
WHOSE = '{region="us-east-1", tenant="acme-corp"}'

CASES = [
    pytest.param(
        healthy((A, "1x40", "1x40"), (B, "1x40", "1x40")), HEALTHY, "5m", {"{}": 2}, id="every healthy gateway counts"
    ),
    pytest.param(
        healthy((A, "1x40", "1x40"), (B, "0x40", "1x40")),
        HEALTHY,
        "5m",
        {"{}": 1},
        id="a gateway that is up and says that it is not healthy does not count",
    ),
    pytest.param(
        healthy((A, "1x40", "1x40"), (B, "1x10 stale", "1x10 0x30")),
        HEALTHY,
        "5m",
        {"{}": 1},
        id="a gateway that cannot be scraped does not count, though its last word was 1",
    ),
    pytest.param(
        healthy((A, "1x10 stale", "1x10 stale"), (B, "1x10 stale", "1x10 stale")),
        HEALTHY,
        "5m",
        {"{}": 0},
        id="gateways that are gone leave a zero, not nothing",
    ),
    pytest.param({}, HEALTHY, "5m", {"{}": 0}, id="a gateway that never was is a zero too"),
    pytest.param(
        healthy(('job="other", instance="x"', "1x40", "1x40")),
        HEALTHY,
        "5m",
        {"{}": 0},
        id="another job does not count",
    ),
    pytest.param(
        attempts("success", "0+15x40"), ERROR_RATIO, "9m", {LABELS: 0}, id="a provider that never failed has a ratio"
    ),
    pytest.param(
        {**attempts("failure", "0+15x40"), **errors("UPSTREAM_ERROR", "0+15x40")},
        ERROR_RATIO,
        "9m",
        {LABELS: 1},
        id="a provider that never succeeded has a ratio of one",
    ),
    pytest.param(
        {**attempts("success", "0+15x40"), **attempts("failure", "0+15x40"), **errors("RATE_LIMITED", "0+15x40")},
        ERROR_RATIO,
        "9m",
        {LABELS: 0.5},
        id="every code counts",
    ),
    pytest.param(
        {**attempts("success", "0+15x40"), **attempts("failure", "0+15x40"), **errors("RATE_LIMITED", "0+15x40")},
        "tier:provider:region_error_ratio:rate5m",
        "9m",
        {'{provider="anthropic", region="ap-south-1"}': 0},
        id="but for the limit of all cloud providers not what callers cause",
    ),
    pytest.param(
        {**attempts("success", "0+15x40"), **attempts("failure", "0+15x40"), **errors("RATE_LIMITED", "0+15x40")},
        "tier:provider:throttle_ratio:rate5m",
        "9m",
        {LABELS: 0.5},
        id="and counted where they belong",
    ),
    pytest.param(
        {**attempts("success", "7x40"), **attempts("failure", "3x40")},
        ERROR_RATIO,
        "9m",
        {},
        id="without traffic there is no ratio, rather than NaN",
    ),
    pytest.param(
        {
            **attempts("success", "0+15x20 0+15x20"),
            **attempts("success", "1000+15x40", B),
            **attempts("failure", "0x40"),
        },
        # Prometheus 3 leaves the sample at the window's far end out: one of 19 steps, not of 20.
        'round(tier:provider:requests:rate5m{status="success"}, 0.01)',
        "9m",
        {LABELS.replace("}", ', status="success"}'): 1.95},
        id="the restart of one gateway costs one of its steps, and disturbs no sum over two",
    ),
    pytest.param(
        {**attempts("success", "0+15x40"), **attempts("failure", "0+5x40"), **errors("CONNECTION_FAILED", "0+5x40")},
        "tier:provider:region_error_ratio:rate5m",
        "9m",
        {PLACE: 0.25},
        id="a region's ratio is over all its models",
    ),
    pytest.param(
        {
            f'ai_gateway_tenant_requests_total{{{A}, tenant="t", region="r", status="success"}}': "0+15x40",
            f"ai_gateway_audit_records_total{{{B}}}": "0+15x40",
        },
        COMPLETE,
        "9m",
        {"{}": 1},
        id="a call and its audit record may be counted by different replicas",
    ),
    pytest.param(
        {
            f'ai_gateway_tenant_requests_total{{{A}, tenant="t", region="r", status="success"}}': "0+15x40",
            f"ai_gateway_audit_records_total{{{A}}}": "0+12x40",
        },
        COMPLETE,
        "9m",
        {"{}": 0.8},
        id="a missing audit record shows",
    ),
    pytest.param(
        {
            f'ai_gateway_tenant_requests_total{{{A}, tenant="t", region="r", status="success"}}': "5x40",
            f"ai_gateway_audit_records_total{{{A}}}": "5x40",
        },
        COMPLETE,
        "9m",
        {},
        id="without calls there is no completeness",
    ),
    pytest.param(durations("0x40", "0+15x40"), P95, "9m", {LABELS: 1.925}, id="p95 lies within its bucket"),
    pytest.param(
        call_durations("0x40", "0+15x40"),
        ALIAS_P95,
        "9m",
        {'{alias="chat"}': 1.925},
        id="an alias has a p95 of its own",
    ),
    pytest.param(call_durations("5x40", "5x40"), ALIAS_P95, "9m", {}, id="an alias that nobody calls has no p95"),
    pytest.param(
        durations("5x40", "5x40"), f"{P95}:normal", "9m", {}, id="a quantile over no traffic enters no baseline"
    ),
    pytest.param(
        {**durations("0+15x80", "0+15x80"), **attempts("success", "0+15x80")},
        f"{P95}:baseline",
        "19m",
        {LABELS: 0.475},
        id="what was normal a quarter of an hour ago is the baseline",
    ),
    pytest.param(
        {**durations("0x40", "0+15x40"), **attempts("success", "0+15x40")},
        f"{P95}:normal",
        "9m",
        {},
        id="what is slow while its alarm is pending is not normal",
    ),
    pytest.param(
        {
            **durations("0+15x40", "0+15x40"),
            **attempts("failure", "0+15x40"),
            **errors("CONNECTION_FAILED", "0+15x40"),
        },
        f"{P95}:normal",
        "9m",
        {},
        id="refused connections are fast, and are not normal either",
    ),
]
BORN = [
    pytest.param("_x10 1x40", "3m", {WHOSE: 1}, id="a counter that is born at 1 counts at once"),
    pytest.param("_x10 1x40", "6m45s", {WHOSE: 1}, id="and for the whole day"),
    pytest.param("_x10 1x40", "8m15s", {}, id="and no longer, while nothing is added"),
    pytest.param("_x10 3x4 5x40", "4m", {WHOSE: 5}, id="what it was born with and what was added count together"),
    pytest.param("7x60", "14m", {}, id="a counter that stands still counts nothing"),
    pytest.param("7x50 8x20", "14m", {WHOSE: 1}, id="one more on a counter of yesterday is one"),
    pytest.param("7x50 _x3 1x20", "14m", {WHOSE: 1}, id="one after a restart is one"),
    pytest.param("7x45 _x10 7x20", "15m", {}, id="a gap in scraping makes no counter newborn"),
]


@pytest.fixture(scope="module")
def rules(hybrid: LoadedCatalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole rule file, in real time and in time where a day is five minutes."""
    folder = tmp_path_factory.mktemp("rules")
    for name, timing in (("real", Timing()), ("day", Timing(factor=DAY_IN_5M))):
        alarms = load_alarms(hybrid, timing)
        (folder / f"{name}.yml").write_text(to_yaml(rule_file_content(build_rule_groups(hybrid, timing, alarms))))
    return folder


def unit_test(rules: str, series: Series, expr: str, at: str, expected: Mapping[str, float]) -> dict[str, Any]:
    return {
        "rule_files": [rules],
        "evaluation_interval": "15s",
        "group_eval_order": ["tiercli-meta", "tiercli-gateway", "tiercli-provider"],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": expr,
                        "eval_time": at,
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
                    }
                ],
            }
        ],
    }


def check(promtool: Any, folder: Path, content: dict[str, Any]) -> None:
    file = folder / "case_test.yml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    code, output = promtool("test", "rules", file)
    assert code == 0, output


@pytest.mark.parametrize(("series", "expr", "at", "expected"), CASES)
def test_records_what_really_happened(
    promtool: Any, rules: Path, tmp_path: Path, series: Series, expr: str, at: str, expected: Mapping[str, float]
) -> None:
    # Rounded, because rate() extrapolates.
    check(promtool, tmp_path, unit_test(str(rules / "real.yml"), series, f"round({expr}, 0.001)", at, expected))


def test_what_an_alias_took_in_the_hours_before_is_its_baseline(promtool: Any, rules: Path, tmp_path: Path) -> None:
    # Half a second for an hour and a half, then two.
    series = call_durations("0+15x360 5400x80", "0+15x440")
    expr, expected = f"round({ALIAS_P95}:baseline, 0.001)", {'{alias="chat"}': 0.475}
    check(promtool, tmp_path, unit_test(str(rules / "real.yml"), series, expr, "2h2m", expected))


@pytest.mark.parametrize(("values", "at", "expected"), BORN)
def test_counts_zone_violations_from_the_first_one_on(
    promtool: Any, rules: Path, tmp_path: Path, values: str, at: str, expected: Mapping[str, float]
) -> None:
    series = {VIOLATED: values}
    check(promtool, tmp_path, unit_test(str(rules / "day.yml"), series, f"round({VIOLATIONS}) > 0", at, expected))


def test_a_wrong_expectation_fails(promtool: Any, rules: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="got"):
        check(promtool, tmp_path, unit_test(str(rules / "real.yml"), {}, HEALTHY, "5m", {f"{HEALTHY}{{}}": 1}))


def test_thresholds_are_recorded_where_the_catalog_sets_them_and_default_elsewhere(
    promtool: Any, rules: Path, tmp_path: Path
) -> None:
    local = 'provider="vllm", model="llama-3.3-70b", region="mumbai-dc"'
    series = {
        **durations("0+15x40", "0+15x40"),
        **{name.replace(OFFER, local): values for name, values in durations("0+15x40", "0+15x40").items()},
    }
    # Twice what the catalog calls typical, 0.7 s and 0.55 s, or the override's floor.
    expected = {LABELS: 1.4, f"{{{local}}}": 1.5}
    check(
        promtool, tmp_path, unit_test(str(rules / "real.yml"), series, f"round({P95}:threshold, 0.001)", "9m", expected)
    )
