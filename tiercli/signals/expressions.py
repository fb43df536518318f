"""Every emitted expression is parsed, and every metric and label in it must be known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache, lru_cache

import promql_parser

from tiercli.errors import InvalidInput, Location, Problem
from tiercli.signals.contract import CONTRACT
from tiercli.signals.label_flow import LabelFlow
from tiercli.signals.recorded import RECORDED
from tiercli.signals.rule import Rule

# What is kept of Prometheus' own metrics: whether it evaluates its rules in time, and reaches Alertmanager.
PROMETHEUS_METRICS = (
    "prometheus_rule_group_last_duration_seconds",
    "prometheus_rule_group_interval_seconds",
    "prometheus_rule_evaluation_failures_total",
    "prometheus_tsdb_head_series",
    "prometheus_notifications_dropped_total",
)
# Gauges that Prometheus makes of every scrape.
SCRAPE_METRICS = ("up", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling")
# What a scrape adds to what a target exposes.
_SCRAPED = frozenset({"job", "instance"})
# What the targets of local servers carry beside these.
_OF_SERVERS = frozenset({"server", "provider", "region"})
# Series of Prometheus' own, with their labels; None: any label.
_OWN: Mapping[str, frozenset[str] | None] = {
    **dict.fromkeys(SCRAPE_METRICS, _SCRAPED | _OF_SERVERS),
    "ALERTS": None,
    **dict.fromkeys(PROMETHEUS_METRICS, None),
}

Series = Mapping[str, frozenset[str] | None]


def known_series() -> dict[str, frozenset[str] | None]:
    """Every series name that an expression may read, with its labels; None where it may have any."""
    return dict(_known_series())


@cache
def _known_series() -> Series:
    known: dict[str, frozenset[str] | None] = dict(_OWN)
    for metric in CONTRACT:
        for name in metric.exposed_names:
            bucket = {"le"} if name.endswith("_bucket") else set()
            known[name] = frozenset(metric.labels) | bucket | _SCRAPED
    for series in RECORDED:
        known[series.name] = frozenset(series.labels)
    return known


def check_expression(expr: str, place: Location, more: Series | None = None) -> list[Problem]:
    """The problems of `expr`: its syntax, a metric that nothing exposes or records, a label that the series do not have where
    it is matched, grouped or joined by. `more`: series known beside the contract's and the recorded ones."""
    return _read(expr, place, more)[1]


def expression_labels(expr: str, more: Series | None = None) -> frozenset[str] | None:
    """The labels of what `expr` yields; None when they are unknown. Raises InvalidInput for an expression with problems."""
    labels, problems = _read(expr, Location("expression"), more)
    if problems:
        raise InvalidInput(f"not an expression over known series: {expr}", problems)
    return labels


@lru_cache(maxsize=4096)
def series_read(expr: str) -> frozenset[str]:
    """The names of the series that `expr` reads; none when it does not parse."""
    try:
        return frozenset(LabelFlow.selected(promql_parser.parse(expr)))
    except ValueError:
        return frozenset()


def reads_of(rules: Iterable[Rule]) -> dict[str, set[str]]:
    """By recorded series, or alarm, the series that its rules read."""
    reads: dict[str, set[str]] = {}
    for rule in rules:
        reads.setdefault(rule.name, set()).update(series_read(rule.expr))
    return reads


def all_read(names: Iterable[str], reads: Mapping[str, Iterable[str]]) -> set[str]:
    """`names`, and everything that they are made of. `reads`: as reads_of gives them."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += reads.get(name, ())
    return seen


def series_labels(series: str) -> dict[str, str]:
    """The labels of one series as a unit test writes it: metric{label="value"}. Raises ValueError for anything else."""
    parsed = promql_parser.parse(series)
    if not isinstance(parsed, promql_parser.VectorSelector):
        raise ValueError(f'{series} is not a series such as metric{{label="value"}}')
    return {matcher.name: matcher.value for matcher in parsed.matchers.matchers}


def _read(expr: str, place: Location, more: Series | None) -> tuple[frozenset[str] | None, list[Problem]]:
    try:
        parsed = promql_parser.parse(expr)
    except ValueError as error:
        return None, [Problem(place, f"not PromQL: {error}: {expr}")]
    known = {**_known_series(), **(more or {})}
    flow = LabelFlow(known)
    labels = flow.labels(parsed)
    problems = []
    for fault, name, accepted in flow.faults:
        near = get_close_matches(name, accepted, n=1) if name else []
        listed = ", ".join(sorted(accepted)) if len(accepted) < 20 else ""
        problems.append(Problem(place, f"{fault}, in {expr}", listed, near[0] if near else ""))
    return labels, problems
