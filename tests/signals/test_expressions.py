"""Every metric and label of an expression is known, where it is matched, grouped by and joined by."""

from __future__ import annotations

import pytest

from tiercli.errors import InvalidInput, Location
from tiercli.signals.expressions import check_expression, expression_labels, known_series, series_labels

PLACE = Location("some.yml", 3, 9)
UP = {"job", "instance", "server", "provider", "region"}  # what scrape jobs of servers add


@pytest.mark.parametrize(
    ("expr", "said", "suggestion"),
    [
        pytest.param("sum by (", "not PromQL", "", id="what does not parse is said with its text"),
        pytest.param(
            "rate(ai_gateway_requests_totl[5m])",
            "unknown metric 'ai_gateway_requests_totl'",
            "ai_gateway_requests_total",
            id="a misspelt metric is unknown, with the one that is near",
        ),
        pytest.param(
            'tier:provider:requests:rate5m{stauts="success"}',
            "tier:provider:requests:rate5m has no label 'stauts'",
            "status",
            id="a misspelt matcher is found",
        ),
        pytest.param(
            "sum by (provider, tenant) (tier:provider:requests:rate5m)",
            "the argument of sum has no label 'tenant'",
            "",
            id="grouping by a label that is not there is found",
        ),
        pytest.param(
            "sum without (regoin) (tier:provider:requests:rate5m)",
            "the argument of sum has no label 'regoin'",
            "region",
            id="a label that is to be left out must be there",
        ),
        pytest.param(
            "tier:provider:region_error_ratio:rate5m and on (model) tier:provider:error_ratio:rate5m",
            "the left of and has no label 'model'",
            "",
            id="joining by a label that one side does not have is found",
        ),
        pytest.param(
            "tier:provider:error_ratio:rate5m / tier:provider:region_error_ratio:rate5m",
            "the two sides of / never match",
            "",
            id="two sides with different labels never match",
        ),
        pytest.param(
            "tier:provider:error_ratio:rate5m * on (provider, region) group_left (owner) tier:provider:info",
            "the one side of * has no label 'owner'",
            "",
            id="group_left brings only labels that are there",
        ),
        pytest.param(
            "histogram_quantile(0.95, sum by (provider) (rate(ai_gateway_request_duration_seconds_bucket[5m])))",
            "the argument of histogram_quantile has no label 'le'",
            "",
            id="a quantile needs le",
        ),
        pytest.param(
            'tier:provider:info{estate="production"}',
            "tier:provider:info has no label 'estate'",
            "",
            id="external labels are on alerts, not on series",
        ),
        pytest.param('{job="x"}', "without a plain metric name", "", id="a selector without a name is refused"),
        pytest.param('{__name__=~"x.*"}', "without a plain metric name", "", id="so is a pattern for names"),
    ],
)
def test_names_what_is_wrong(expr: str, said: str, suggestion: str) -> None:
    (problem,) = check_expression(expr, PLACE)
    assert said in problem.found
    assert expr in problem.found
    assert problem.suggestion == suggestion
    assert problem.location == PLACE


@pytest.mark.parametrize(
    ("expr", "labels"),
    [
        pytest.param("sum(up) or vector(0)", set(), id="an aggregate without by has no labels"),
        pytest.param("up == 0", UP, id="a comparison with a number keeps labels"),
        pytest.param(
            "sum by (provider, region) (tier:provider:requests:increase1m)",
            {"provider", "region"},
            id="an aggregate has the labels that it groups by",
        ),
        pytest.param(
            "sum without (status) (tier:provider:requests:increase1m)",
            {"provider", "model", "region"},
            id="or those that it does not leave out",
        ),
        pytest.param(
            "tier:provider:error_ratio:rate5m * on (provider, region) tier:provider:info",
            {"provider", "region"},
            id="one to one keeps what is joined by",
        ),
        pytest.param(
            "tier:provider:error_ratio:rate5m * on (provider, region) group_left (tier) tier:provider:info",
            {"provider", "model", "region", "tier"},
            id="many to one keeps the many side's and what is brought",
        ),
        pytest.param(
            'tier:provider:error_ratio:rate5m unless on (provider) ALERTS{alertname="x", provider="y"}',
            {"provider", "model", "region"},
            id="unless keeps the left, and an alert can have any label",
        ),
        pytest.param(
            "histogram_quantile(0.9, sum by (le, model) (rate(ai_gateway_request_duration_seconds_bucket[5m])))",
            {"model"},
            id="a quantile takes le away",
        ),
        pytest.param('label_replace(up, "a", "$1", "job", "(.*)")', {*UP, "a"}, id="label_replace adds"),
        pytest.param('count_values("value", up)', {"value"}, id="count_values adds the label that it is named"),
        pytest.param("topk(3, up)", UP, id="topk keeps all"),
    ],
)
def test_follows_labels_through_an_expression(expr: str, labels: set[str]) -> None:
    assert check_expression(expr, PLACE) == []
    assert expression_labels(expr) == labels


def test_cannot_tell_the_labels_of_alerts() -> None:
    assert expression_labels('ALERTS{alertname="ProviderDown"}') is None


def test_more_series_are_known_where_they_are_given() -> None:
    own = {"tier:own:series": frozenset({"tenant"})}
    assert check_expression('tier:own:series{tenant="x"}', PLACE, own) == []
    assert check_expression("tier:own:series", PLACE) != []
    assert "tier:own:series" not in known_series()


def test_labels_of_what_is_unsound_are_an_error() -> None:
    with pytest.raises(InvalidInput, match="nothing_such"):
        expression_labels("nothing_such")


def test_reads_the_labels_of_one_series_however_hostile() -> None:
    assert series_labels('x{provider="a\\"b{{ }}", region="é \\\\ $1"}') == {
        "provider": 'a"b{{ }}',
        "region": "é \\ $1",
    }
    with pytest.raises(ValueError, match="not a series"):
        series_labels("sum(x)")
