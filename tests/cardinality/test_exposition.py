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

from tests.cardinality.exposition_mutations import single_cases
from tests.cardinality.real_scrapes import OPENMETRICS as OPENMETRICS_TYPE
from tests.cardinality.real_scrapes import PLAIN as PLAIN_TYPE
from tests.clients.live_servers import free_port, http_server
from tests.conftest import HYBRID, Done
from tests.contract_metrics import ContractMetrics
from tiercli.cardinality.exposition import read_exposition
from tiercli.cardinality.exposition_grammar import OPENMETRICS, PLAIN

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
    'a{x="3" y="2\\"1"}\t1',
    'a{x="two',
    'lines"} 1',
    "# anything",
    "",
)
GOOD_OPENMETRICS = (
    "# TYPE c counter",
    "# UNIT c_s s",
    'c_total{x="1"} 5 1700000000.123 # {trace_id="a"} 1 1700000000',
    'c_total{x="2"} 5 # {} 1',
    'c_bucket{le="+Inf"} NaN',
    "# EOF",
)
A_VALUE = "a value, such as 1, 1.5e-9, +Inf or NaN"


@pytest.mark.parametrize(
    ("line", "column", "found", "wanted"),
    [
        ("a", 2, "it ends too early", "{ and labels, or a value"),
        ("9a 1", 1, "found '9a 1'", "a metric's name"),
        ('a{x="1" 1', 9, "found '1'", 'label="value", or }'),
        ("a{x=1} 1", 5, "found '1} 1'", "a label's value in quotes"),
        ('a{x="1} 1', 5, "a string without an end", 'the end of the string, "'),
        ('a{x="1"} one', 10, "found 'one'", A_VALUE),
        ('a{x="1"} 1_000', 10, "found '1_000'", A_VALUE),
        ('a{x="1"} 1e999', 10, "the number is too large", A_VALUE),
        ('a{x="1"} ٣', 10, "found '٣'", A_VALUE),
        ('a{x="1"} 1 2 3', 14, "found '3'", "the end of the line"),
        ('a{x="1"} 1 1.5', 13, "found '.5'", "the end of the line"),
        ("a-b 1", 2, "found '-b 1'", "{ and labels, or a value"),
        ("<html>", 1, "found '<html>'", "a metric's name"),
        ("a 1\r", 4, "it ends in \\r\\n", "lines that end in \\n alone"),
        ('a 1 # {x="1"} 1', 5, "found '# {x=\"1\"} 1'", "the end of the line, or a time"),
        (
            "# TYPE a info",
            10,
            "'info' is no type of the plain text format",
            "counter, gauge, histogram, summary, untyped",
        ),
        ("# HELP a \udcff", 10, "the help text is not UTF-8", "UTF-8"),
        ('a{é="1"} 1', 3, "found 'é=\"1\"} 1'", 'label="value", or }'),
        ('a{x="é",y="\udcff"} 1', 9, "the label's value is not UTF-8", "UTF-8"),
        ('a{x="1",y="2",x="3"} 1', 15, "the label x appears twice", "each label once"),
        ('a{x="1",__name__="b"} 1', 9, "the label __name__ appears twice", "each label once"),
        ('a{x="1","b"} 1', 9, "a second name of the metric", 'label="value", or }'),
    ],
)
def test_a_line_that_no_prometheus_reads_is_told_at_its_place_and_the_rest_is_read(
    line: str, column: int, found: str, wanted: str
) -> None:
    clean = read_exposition(GOOD, "x")
    assert (clean.wrong, clean.noted) == (0, 0)
    assert clean.series == {"a": 6}
    exposed = read_exposition([*GOOD[:7], line, *GOOD[7:]], "x.prom")
    [problem] = exposed.problems
    assert (problem.location.line, problem.location.column) == (8, column), problem
    assert problem.found == f"Prometheus 2.42 and 3.x refuse this line: {found}"
    assert problem.accepted == wanted
    assert exposed.series == clean.series
    assert exposed.refused == {"2.42": 1, "3.x": 1}


@pytest.mark.parametrize(
    ("line", "column", "found"),
    [
        ("", 1, "it ends too early"),
        ("# anything", 1, "found '# anything'"),
        ("c_total  1", 8, "found '  1'"),
        ('c_total{x="1", y="2"} 1', 15, "found ' y=\"2\"} 1'"),
        ('c_total{x="1"y="2"} 1', 14, "found 'y=\"2\"} 1'"),
        ("c_total 1 NaN", 11, "found 'NaN'"),
        ("c_total 1 # {x} 1", 15, "found '} 1'"),
        ("# TYPE c untyped", 10, "'untyped' is no type of OpenMetrics"),
        ("# UNIT c_s ms", 12, "the unit is not the end of the metric's name"),
    ],
)
def test_openmetrics_is_stricter_than_the_plain_format(line: str, column: int, found: str) -> None:
    assert read_exposition(GOOD_OPENMETRICS, "x").refused == {}
    exposed = read_exposition([*GOOD_OPENMETRICS[:2], line, *GOOD_OPENMETRICS[2:]], "x")
    [problem] = exposed.problems
    assert (problem.location.line, problem.location.column) == (3, column), problem
    assert problem.found == f"Prometheus 2.42 and 3.x refuse this line: {found}"
    assert exposed.series == {"c_total": 2, "c_bucket": 1}


def test_text_is_openmetrics_by_its_last_line_or_as_its_content_type_says() -> None:
    exemplar = 'c_total 5 # {trace_id="a"} 1'
    assert read_exposition([exemplar, "# EOF"], "x").wrong == 0
    assert read_exposition(f"{exemplar}\n# EOF\n".split("\n"), "x").wrong == 0
    assert read_exposition([exemplar, "# EOF", "c 1"], "x").wrong == 1
    [unfinished] = read_exposition(["a 1\n", exemplar], "x", form=OPENMETRICS).problems
    assert str(unfinished.location) == "x:2"
    assert unfinished.found.endswith("this text: it is OpenMetrics and does not end in # EOF")
    [after] = read_exposition(["# EOF", "a 1"], "x", form=OPENMETRICS).problems
    assert (after.location.line, after.found.endswith("text after # EOF")) == (2, True)


@pytest.mark.parametrize(
    ("lines", "metric"),
    [
        (('{"a.b",x="1"} 5',), "a.b"),
        (('{x="1","a.b"} 5',), "a.b"),
        (('{"a.b"} 1',), "a.b"),
        (('{"a', 'b"} 1'), "a\nb"),
        (('{"a\\nb\\\\"} 1',), "a\nb\\"),
        (('a{"x.y"="1"} 1',), "a"),
        ((" a 1",), " a"),
        (('a_total{x="1",} 1', "# EOF"), "a_total"),
        (('a_sum 1 # {x="1"} 1', "# EOF"), "a_sum"),
    ],
)
def test_what_only_an_old_prometheus_refuses_is_a_note_and_is_counted(lines: tuple[str, ...], metric: str) -> None:
    exposed = read_exposition(lines, "x")
    assert (exposed.wrong, exposed.problems, exposed.noted) == (0, [], 1)
    assert exposed.notes[0].found.startswith("Prometheus 2.42 refuses this line, 3.x reads it: ")
    assert exposed.notes[0].location.line == 1
    assert exposed.refused == {"2.42": 1}
    assert exposed.series == {metric: 1}


def test_many_names_in_quotes_are_counted_as_one_is() -> None:
    lines = [f'{{"a.b","x.y"="{number}",z="\\"1"}} {number}' for number in range(50)]
    exposed = read_exposition(
        [*lines, '{"a.b",z="\\"1",x.y="1"} 1', '{z="\\"1","a.b","x.y"="7"} 1', '{"a.b",z="1",z="1"} 1'], "x"
    )
    assert exposed.series == {"a.b": 50}
    assert (exposed.noted, exposed.refused) == (51, {"2.42": 53, "3.x": 2})
    assert [problem.location.line for problem in exposed.problems] == [51, 52, 53]


@pytest.mark.parametrize("content_type", [PLAIN_TYPE, OPENMETRICS_TYPE])
def test_what_was_noted_before_changes_no_verdict(content_type: str) -> None:
    form = OPENMETRICS if content_type == OPENMETRICS_TYPE else PLAIN
    before = [f'{{"before.{number}"}} 1\n' for number in range(6)]
    for case in [case for case in single_cases() if case.content_type == content_type]:
        lines = case.text.decode(errors="surrogateescape").split("\n")
        alone, after = read_exposition(lines, "x", form=form), read_exposition([*before, *lines], "x", form=form)
        assert after.refused["3.x"] == alone.refused["3.x"], case.text
        assert after.series.total() - 6 == alone.series.total(), case.text


def test_a_nul_where_a_line_begins_ends_what_prometheus_reads_and_is_told() -> None:
    exposed = read_exposition(["a 1", "\0", "b 1", "?"], "x")
    assert (exposed.series, exposed.refused) == ({"a": 1}, {})
    [problem] = exposed.problems
    assert (problem.location.line, problem.found) == (
        2,
        "a NUL: Prometheus reads nothing from here on, and tells nobody",
    )
    assert read_exposition(["a 1", 'b{x="\0"} 1', "# HELP c \0", "\0"], "x").wrong == 0


def test_a_series_with_two_times_is_one_series_and_right_and_a_label_that_is_empty_is_none() -> None:
    exposed = read_exposition(['d{a="1"} 5 1000', 'd{a="1"} 6 2000', 'd{a="1",b=""} 7 3000', 'd{a="1"} 8'], "x")
    assert (exposed.series, exposed.wrong) == ({"d": 1}, 0)
    exposed = read_exposition(['d{a="1"} 5 1000', 'd{a="1"} 6 1000'], "x")
    assert "appears twice with the same labels and time" in exposed.problems[0].found
    exposed = read_exposition(['d{a="1"} 5', 'd{a="1",b=""} 6'], "x")
    assert "appears twice with the same labels:" in exposed.problems[0].found


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
    assert "metrics.txt:4:9: Prometheus 2.42 and 3.x refuse this line: found '1'" in done.stderr
    assert "up appears twice" in done.stderr
    assert "2 lines that Prometheus would reject" in done.stderr


def test_what_only_an_old_prometheus_refuses_is_told_and_the_exit_code_is_that_of_a_clean_file(
    run_tiercli: Run, tmp_path: Path
) -> None:
    text = gateway() + "".join(f'{{"go.gc",cpu="{number}"}} 1\n' for number in range(7))
    done = judge(run_tiercli, tmp_path, text)
    assert done.returncode == 0
    notes = done.stderr.splitlines()
    assert len(notes) == 6
    assert 'metrics.txt:4:1: Prometheus 2.42 refuses this line, 3.x reads it: found \'{"go.gc",cpu=' in notes[0]
    assert notes[-1] == "note: 2 more lines that only an older Prometheus refuses"
    done = judge(run_tiercli, tmp_path, text, "--format", "github")
    assert (done.returncode, done.stdout.count("::notice file=")) == (0, 5)
    said = json.loads(judge(run_tiercli, tmp_path, text, "--format", "json").stdout)
    assert (said["malformed_lines"], said["refused_lines"]) == (0, {"2.42": 7, "3.x": 0})


def test_a_file_is_openmetrics_where_it_ends_so_and_its_carriage_returns_count(
    run_tiercli: Run, tmp_path: Path
) -> None:
    exemplar = 'up_total 1 # {trace_id="a"} 1\n'
    assert judge(run_tiercli, tmp_path, f"{exemplar}# EOF\n").returncode == 0
    done = judge(run_tiercli, tmp_path, exemplar)
    assert (done.returncode, "refuse this line: found '# {trace_id=" in done.stderr) == (2, True)
    done = judge(run_tiercli, tmp_path, "up 1\r\n")
    assert (done.returncode, "it ends in \\r\\n" in done.stderr) == (2, True)


def test_a_target_is_asked_over_http(run_tiercli: Run) -> None:
    with http_server(lambda path: (200, gateway().encode()) if path == "/metrics" else (401, b"no")) as url:
        assert run_tiercli("budget", str(HYBRID), "--metrics", f"{url}/metrics").returncode == 0
        refused = run_tiercli("budget", str(HYBRID), "--metrics", f"{url}/secret")
        assert (refused.returncode, "HTTP 401" in refused.stderr) == (3, True)
    assert run_tiercli("budget", str(HYBRID), "--metrics", f"http://127.0.0.1:{free_port()}/metrics").returncode == 3
    assert run_tiercli("budget", str(HYBRID), "--metrics", "nothing.txt").returncode == 2


@pytest.mark.parametrize(
    ("content_type", "text", "code", "said"),
    [
        ("application/openmetrics-text; version=1.0.0", 'up_total 1 # {trace_id="a"} 1\n# EOF\n', 0, ""),
        (
            "application/openmetrics-text",
            "up 1\n",
            2,
            "Prometheus 2.42 and 3.x refuse this text: it is OpenMetrics and does not end in # EOF",
        ),
        ("application/openmetrics-text", "", 0, "Prometheus 2.42 refuses this text, 3.x reads it: "),
        ("text/plain", "up 1\n# EOF\n", 0, ""),
        ("text/plain", 'up_total 1 # {trace_id="a"} 1\n# EOF\n', 2, "refuse this line: found '# {trace_id="),
        ("text/plain", 'up{x="\u2028\x85\f"} 1\n', 0, ""),
        ("", "up 1\n", 2, "Prometheus 3.x refuses this answer, 2.42 reads it: it has no Content-Type"),
        ("", "", 0, ""),
        ("text/html", "up 1\n", 2, "3.x refuses this answer, 2.42 reads it: its Content-Type is 'text/html'"),
    ],
)
def test_an_answer_is_what_its_content_type_says(
    run_tiercli: Run, content_type: str, text: str, code: int, said: str
) -> None:
    with http_server(lambda _: (200, text.encode()), content_type) as url:
        done = run_tiercli("budget", str(HYBRID), "--metrics", f"{url}/metrics")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert bool(said) == bool(done.stderr)


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
