"""Variables in queries and titles, as Grafana and its Prometheus data source fill them in."""

from __future__ import annotations

import pytest

from tiercli.dashboards.read.board import Variable
from tiercli.dashboards.read.interpolation import Choice, TimeSpan, choose, fill_query, fill_title

HOUR = TimeSpan(range_s=3600, step_s=60, scrape_s=15)
CHOICES = {
    "one": Choice(("a.b",), multi=True),
    "two": Choice(("a.b", "c|d"), multi=True),
    "plain": Choice(('x"\\',)),
    "all": Choice(("a", "b"), multi=True, whole=True, all_value=".*"),
    "listed": Choice(("a", "b"), multi=True, whole=True),
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        pytest.param('m{l=~"$one"}', r'm{l=~"a\\.b"}', id="escaped for a regular expression in a string"),
        pytest.param('m{l=~"${two}"}', r'm{l=~"(a\\.b|c\\|d)"}', id="several are alternatives"),
        pytest.param('m{l=~"[[one]]"}', r'm{l=~"a\\.b"}', id="the old brackets"),
        pytest.param("m{l=~`${two:regex}`}", r"m{l=~`(a\.b|c\|d)`}", id="the regex format escapes once"),
        pytest.param("${two:pipe} ${two:csv}", "a.b|c|d a.b,c|d", id="pipe and csv"),
        pytest.param('m{l="$plain"}', r'm{l="x\"\\"}', id="a single value is no regular expression"),
        pytest.param('m{l=~"$all"}', 'm{l=~".*"}', id="all, with a value for it"),
        pytest.param('m{l=~"${all:regex}"}', 'm{l=~".*"}', id="the value for all is not escaped"),
        pytest.param('m{l=~"$listed"}', 'm{l=~"(a|b)"}', id="all, without one"),
        pytest.param("rate(m[$__rate_interval])", "rate(m[75s])", id="rate interval: a step and a scrape"),
        pytest.param("avg_over_time(m[$__range])", "avg_over_time(m[3600s])", id="the whole range"),
        pytest.param("x[${__interval}] $__interval_ms", "x[60s] 60000", id="the step"),
        pytest.param('label_replace(m, "a", "$1", "b", "(.*)") $two2', 'label_replace(m, "a", "$1", "b", "(.*)") $two2', id="what is no variable stays"),
    ],
)  # fmt: skip
def test_a_query_is_filled_in_as_grafana_does(text: str, filled: str) -> None:
    assert fill_query(text, CHOICES, HOUR) == filled


def test_the_rate_interval_is_never_below_four_scrapes() -> None:
    assert fill_query("$__rate_interval", {}, TimeSpan(60, 1, 15)) == "60s"
    assert fill_query("$__rate_interval", {}, TimeSpan(60, 0.5, 0.25)) == "1s"
    assert fill_query("$__interval", {}, TimeSpan(60, 0.5, 0.25)) == "500ms"


def test_a_title_names_what_is_chosen() -> None:
    assert fill_title("Of $two, $listed", CHOICES, HOUR) == "Of a.b + c|d, All"


@pytest.mark.parametrize(
    ("variable", "wanted", "values", "whole"),
    [
        (Variable("v", "query", include_all=True, multi=True), (), ("a", "b"), True),
        (Variable("v", "query", include_all=True, multi=True), ("$__all",), ("a", "b"), True),
        (Variable("v", "query", include_all=True, multi=True), ("b",), ("b",), False),
        (Variable("v", "query"), (), ("a",), False),
        (Variable("v", "query", current=("b",)), (), ("b",), False),
    ],
)
def test_what_a_variable_holds(variable: Variable, wanted: list[str], values: tuple[str, ...], whole: bool) -> None:
    chosen = choose(variable, wanted, ("a", "b"))
    assert (chosen.values, chosen.whole) == (values, whole)
