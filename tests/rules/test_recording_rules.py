"""Recording rules on their own, evaluated by promtool over raw counters: the traps that a fresh series sets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.output.tree import to_yaml
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alerting import build_rule_groups
from tiercli.rules.deployment import timing_of
from tiercli.sandbox.binaries import find_stack

OFFER = 'provider="anthropic", model="claude-sonnet-4-6", region="ap-south-1"'
JOB = 'job="gateway", instance="g1"'


def evaluate(
    loaded: LoadedCatalog, folder: Path, series: dict[str, str], at: str, expr: str
) -> list[tuple[str, float]]:
    """What `expr` gives at `at` once the recording rules ran over `series`, by asking promtool for a wrong answer."""
    timing = timing_of(loaded.catalog)
    groups = build_rule_groups(loaded, timing, load_alarms(loaded, timing))
    for group in groups["groups"]:
        group["rules"] = [rule for rule in group["rules"] if "record" in rule]
    (folder / "rules.yml").write_text(to_yaml(groups))
    test: dict[str, Any] = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "10s",
        "group_eval_order": [group["name"] for group in groups["groups"]],
        "tests": [
            {
                "interval": "10s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": expr, "eval_time": at, "exp_samples": [{"labels": "asked{}", "value": -1}]}
                ],
            }
        ],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    command = [str(find_stack().promtool.path), "test", "rules", "test.yml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    said = (done.stdout + done.stderr).split("got:", 1)
    assert len(said) == 2, said
    return [(labels, float(value)) for labels, value in re.findall(r"(\{[^}]*\}) ([-+.\dE]+|NaN)", said[1])]


def test_a_provider_that_never_failed_has_an_error_ratio_of_zero(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    series = {f'ai_gateway_requests_total{{{OFFER}, {JOB}, status="success"}}': "0+10x40"}
    found = evaluate(hybrid, tmp_path, series, "6m", "tier:provider:error_ratio:rate5m")
    assert [value for _, value in found] == [0]


def test_a_provider_that_only_fails_has_an_error_ratio_of_one(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    series = {
        f'ai_gateway_requests_total{{{OFFER}, {JOB}, status="failure"}}': "0+10x40",
        f'ai_gateway_errors_total{{{OFFER}, {JOB}, code="CONNECTION_FAILED"}}': "0+10x40",
    }
    found = evaluate(hybrid, tmp_path, series, "6m", "tier:provider:error_ratio:rate5m")
    assert [value for _, value in found] == [1]


def test_codes_with_an_alarm_of_their_own_are_left_out(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    series = {
        f'ai_gateway_requests_total{{{OFFER}, {JOB}, status="failure"}}': "0+10x40",
        f'ai_gateway_errors_total{{{OFFER}, {JOB}, code="RATE_LIMITED"}}': "0+10x40",
    }
    found = evaluate(hybrid, tmp_path, series, "6m", "tier:provider:error_ratio:rate5m")
    assert [value for _, value in found] == [0]
    found = evaluate(hybrid, tmp_path, series, "6m", "tier:provider:throttle_ratio:rate5m")
    assert [value for _, value in found] == [1]


def test_a_zone_violation_counts_at_the_first_sight_of_its_series(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    series = {f'ai_gateway_zone_violations_total{{tenant="t", region="r", {JOB}}}': "_x40 1x10"}
    found = evaluate(hybrid, tmp_path, series, "7m", "tier:tenant:zone_violations:increase1d")
    assert [value for _, value in found] == [1]


def test_a_counter_reset_is_no_violation(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    series = {f'ai_gateway_zone_violations_total{{tenant="t", region="r", {JOB}}}': "0x60"}
    assert not evaluate(hybrid, tmp_path, series, "9m", "tier:tenant:zone_violations:increase1d > 0")


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ({f"up{{{JOB}}}": "1x40", f"ai_gateway_up{{{JOB}}}": "1x40"}, 1),
        ({f"up{{{JOB}}}": "1x40", f"ai_gateway_up{{{JOB}}}": "0x40"}, 0),
        ({f"up{{{JOB}}}": "0x40"}, 0),
        ({}, 0),
        (
            {f"up{{{JOB}}}": "1x40", f"ai_gateway_up{{{JOB}}}": "1x40", 'up{job="gateway", instance="g2"}': "0x40"},
            1,
        ),
    ],
    ids=["healthy", "up but unhealthy", "unscrapable", "gone", "one of two"],
)
def test_healthy_gateways_are_counted_even_when_none_is_left(
    hybrid: LoadedCatalog, tmp_path: Path, series: dict[str, str], expected: int
) -> None:
    found = evaluate(hybrid, tmp_path, series or {"unrelated": "1x40"}, "3m", "tier:gateway:healthy_instances:count")
    assert [value for _, value in found] == [expected]


def test_the_effective_threshold_is_the_floor_without_a_baseline(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    series = {
        f'ai_gateway_request_duration_seconds_bucket{{{OFFER}, {JOB}, le="0.5"}}': "0+10x40",
        f'ai_gateway_request_duration_seconds_bucket{{{OFFER}, {JOB}, le="+Inf"}}': "0+10x40",
    }
    found = evaluate(hybrid, tmp_path, series, "6m", "tier:provider:latency_seconds:p95_5m:threshold")
    assert [value for _, value in found] == [1]
