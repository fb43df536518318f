"""Exposition text judged: the same series as prometheus_client's own parsers find, and every line that Prometheus would not take."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as CounterMetric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.clients.live_servers import free_port, http_server
from tests.conftest import HYBRID, Done
from tests.contract_metrics import ContractMetrics
from tiercli.cardinality.exposition import read_exposition

Run = Callable[..., Done]
VALUES = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5, unique=True))
def test_it_finds_the_series_that_are_exposed_whatever_the_labels(values: list[tuple[str, str]]) -> None:
    registry = CollectorRegistry()
    made = [
        CounterMetric("jobs", "h", ("a", "b"), registry=registry),
        Gauge("ai_gateway_quota_bucket_fill_ratio", "h", ("tenant", "provider"), registry=registry),
        Histogram("took_seconds", "h", ("a", "b"), registry=registry),
    ]
    for labels in values:
        made[0].labels(*labels).inc()  # type: ignore[attr-defined]
        made[1].labels(*labels).set(float("nan"))  # type: ignore[attr-defined]
        made[2].labels(*labels).observe(1)  # type: ignore[attr-defined]
    for text in (generate_latest(registry).decode(), generate_openmetrics(registry).decode()):
        exposed = read_exposition(text.split("\n"), "x")
        assert (exposed.wrong, exposed.problems) == (0, [])
        assert exposed.series["ai_gateway_quota_bucket_fill_ratio"] == len(values)
        tenants = exposed.values["ai_gateway_quota_bucket_fill_ratio", "tenant"]
        assert tenants == Counter(tenant for tenant, _ in values)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    expected = sum(len(family.samples) for family in families)
    assert sum(read_exposition(generate_latest(registry).decode().split("\n"), "x").series.values()) == expected


GOOD = (
    "# HELP a what",
    "# TYPE a gauge",
    "a 1",
    'a{x="1"} +Inf 1700000000000',
    'a{ x = "2" , y = "}{" , } -1.5e-9',
    'a{x="# {",} NaN',
    '{"a.b", x="1"} 1',
    '{"a.b","x.y"="1"} 1',
    'c_total{x="1"} 5 1700000000.123 # {trace_id="a"} 1 1700000000',
    "# EOF",
)


@pytest.mark.parametrize(
    ("line", "column", "found", "wanted"),
    [
        ("a", 2, "the end of the line", "{ and labels, or a value"),
        ("9a 1", 1, "9a 1", "a metric's name"),
        ('a{x="1" 1', 9, "1", 'label="value", or }'),
        ("a{x=1} 1", 3, "x=1} 1", 'label="value", or }'),
        ('a{x="1} 1', 3, 'x="1} 1', 'label="value", or }'),
        ('a{x="1"} one', 10, "one", "a value"),
        ('a{x="1"} 1 2 3', 12, "2 3", "the end of the line, or a time"),
        ("a-b 1", 2, "-b 1", "{ and labels, or a value"),
        ("<html>", 1, "<html>", "a metric's name"),
    ],
)
def test_a_malformed_line_is_told_at_its_place_and_the_rest_is_read(
    line: str, column: int, found: str, wanted: str
) -> None:
    clean = read_exposition(GOOD, "x")
    assert clean.wrong == 0
    exposed = read_exposition([*GOOD[:5], line, *GOOD[5:]], "x.prom")
    [problem] = exposed.problems
    assert (problem.location.line, problem.location.column) == (6, column), problem
    assert (problem.found, problem.accepted) == (f"malformed: {found!r}", wanted)
    assert exposed.series == clean.series


def test_the_same_series_twice_is_one_too_many_whatever_the_order_of_its_labels() -> None:
    exposed = read_exposition(['a{x="1",y="2"} 1', 'a{y="2",x="1"} 2', 'a{x="1"} 1'], "x")
    assert (exposed.series["a"], exposed.wrong) == (2, 1)
    assert "appears twice" in exposed.problems[0].found


def test_many_malformed_lines_are_counted_and_some_shown() -> None:
    exposed = read_exposition(["?"] * 1000, "x")
    assert (exposed.wrong, len(exposed.problems)) == (1000, 20)


def gateway(tenant: str = "acme-corp", calls: int = 1) -> str:
    metrics = ContractMetrics(("ai_gateway_cost_usd_total",))
    for number in range(calls):
        labels = {"tenant": tenant, "feature": "chat" if number == 0 else f"feature-{number}", "alias": "chat"}
        metrics.count("ai_gateway_cost_usd_total", 1, **labels)
    return generate_latest(metrics.registry).decode()


def judge(run_tiercli: Run, tmp_path: Path, text: str, *arguments: str) -> Done:
    file = tmp_path / "metrics.txt"
    file.write_text(text, encoding="utf-8")
    return run_tiercli("budget", str(HYBRID), "--metrics", str(file), *arguments)


def test_an_exporter_that_the_catalog_explains_passes(run_tiercli: Run, tmp_path: Path) -> None:
    done = judge(run_tiercli, tmp_path, gateway())
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(judge(run_tiercli, tmp_path, gateway(), "--format", "json").stdout)
    cost = next(one for one in said["metrics"] if one["metric"] == "ai_gateway_cost_usd_total")
    assert (cost["series"], cost["planned"], cost["budget"]) == (1, 19, 100)


def test_what_the_catalog_does_not_explain_is_named_and_is_exit_1(run_tiercli: Run, tmp_path: Path) -> None:
    done = judge(run_tiercli, tmp_path, gateway("acme-crop"))
    assert done.returncode == 1
    assert "✗ tenant 'acme-crop' is not in the catalog: 1 series of ai_gateway_cost_usd_total" in done.stdout
    assert "not in the catalog: tenant 'acme-crop'" in done.stderr
    done = judge(run_tiercli, tmp_path, gateway(calls=150), "--format", "github")
    assert done.returncode == 1
    assert "::error title=budget/reality::ai_gateway_cost_usd_total: 150 series of 100" in done.stdout
    assert "131 series more than the catalog allows" in done.stdout


def test_malformed_text_is_exit_2_and_the_rest_is_judged(run_tiercli: Run, tmp_path: Path) -> None:
    done = judge(run_tiercli, tmp_path, gateway("acme-crop") + "broken{ 1\nup 1\nup 1\n")
    assert done.returncode == 2
    assert "'acme-crop' is not in the catalog" in done.stdout
    assert "malformed: '1'" in done.stderr
    assert "up appears twice" in done.stderr
    assert "2 lines that Prometheus would reject" in done.stderr


def test_a_target_is_asked_over_http(run_tiercli: Run) -> None:
    with http_server(lambda path: (200, gateway().encode()) if path == "/metrics" else (401, b"no")) as url:
        assert run_tiercli("budget", str(HYBRID), "--metrics", f"{url}/metrics").returncode == 0
        refused = run_tiercli("budget", str(HYBRID), "--metrics", f"{url}/secret")
        assert (refused.returncode, "HTTP 401" in refused.stderr) == (3, True)
    assert run_tiercli("budget", str(HYBRID), "--metrics", f"http://127.0.0.1:{free_port()}/metrics").returncode == 3
    assert run_tiercli("budget", str(HYBRID), "--metrics", "nothing.txt").returncode == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, b""), "requires authentication"),
        ((503, b"overloaded"), "503"),
        ((200, b"<html>"), "is not prometheus"),
        (
            (422, b'{"status":"error","errorType":"execution","error":"query timed out in expression evaluation"}'),
            "timed out",
        ),
    ],
)
def test_a_prometheus_that_cannot_answer_is_no_verdict(run_tiercli: Run, answer: tuple[int, bytes], said: str) -> None:
    with http_server(lambda _: answer) as url:
        done = run_tiercli("budget", str(HYBRID), "--prometheus", url)
    assert done.returncode == 3, done.stderr
    assert said in done.stderr


def test_two_questions_at_once_are_refused(run_tiercli: Run) -> None:
    done = run_tiercli("budget", str(HYBRID), "--prometheus", "http://x", "--metrics", "-")
    assert done.returncode == 2
