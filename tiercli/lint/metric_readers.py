"""What reads the metrics of the scraped targets: alarms, panels, and records that neither of them reads."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import promql_parser

from tiercli.catalog.loading import LoadedCatalog
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import parse_board
from tiercli.lint.policy_checks import Evaluated, evaluated
from tiercli.rules.alarm_files import AlarmSet
from tiercli.signals.exposed import ScrapedMetric, exposed_labels, exposed_metrics
from tiercli.signals.expressions import all_read, known_series, series_read
from tiercli.signals.label_flow import LabelFlow

Known = Mapping[str, frozenset[str] | None]
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class MetricReaders:
    """Finds the readers of the metrics that the targets of one catalog expose."""

    def __init__(self, alarms: AlarmSet, loaded: LoadedCatalog) -> None:
        self._metrics = exposed_metrics(loaded.catalog)
        self._expressions = [*evaluated(alarms, loaded), *_watched(alarms)]
        self._queries = list(_queries_of_variables(alarms, loaded))
        self._known: Known = {**known_series(), **exposed_labels(loaded.catalog)}
        reads: dict[str, set[str]] = defaultdict(set)
        for expression in self._expressions:
            if expression.record:
                reads[expression.record] |= series_read(expression.expr)
        self._users: dict[str, dict[str, None]] = defaultdict(dict)  # of each series, directly or through records
        for expression in self._expressions:
            if expression.user:
                for name in all_read(series_read(expression.expr), reads):
                    self._users[name][expression.user] = None

    @property
    def unread(self) -> list[str]:
        """The metrics that nothing reads, in the order in which the targets are named."""
        return [name for name in self._metrics if not self.of(name)]

    def of(self, metric: str) -> tuple[str, ...]:
        """Who reads a metric: alarms, panels as dashboard/panel, or else the records that nobody reads."""
        return self._named(
            self._reading(_series(self._metrics.get(metric, ()))), _series(self._metrics.get(metric, ()))
        )

    def of_label(self, metric: str, label: str) -> tuple[str, ...]:
        """Who needs a label of a metric: what names it, fails without it, or yields other labels without it."""
        series = _series(self._metrics.get(metric, ()))
        less = {name: (self._known.get(name) or frozenset()) - {label} for name in series}
        without = {**self._known, **less}
        needing = (
            expression
            for expression in self._reading(series)
            if label in _words(expression.expr)
            or _outcome(expression.expr, without) != _outcome(expression.expr, self._known)
        )
        return self._named(needing, series, label)

    def _reading(self, series: frozenset[str]) -> Iterator[Evaluated]:
        return (expression for expression in self._expressions if series & series_read(expression.expr))

    def _named(self, expressions: Iterable[Evaluated], series: frozenset[str], label: str = "") -> tuple[str, ...]:
        names: dict[str, None] = {}
        for expression in expressions:
            users = [expression.user] if expression.user else self._users.get(expression.record) or [expression.record]
            names |= dict.fromkeys(users)
        names |= {user: None for user, words in self._queries if series & words and (not label or label in words)}
        return tuple(names)


def _series(metrics: Iterable[ScrapedMetric]) -> frozenset[str]:
    return frozenset(name for metric in metrics for name in metric.series)


@lru_cache(maxsize=4096)
def _words(expr: str) -> frozenset[str]:
    return frozenset(_WORD.findall(expr))


def _outcome(expr: str, known: Known) -> tuple[object, object]:
    """The labels that an expression yields over `known` series, and what is wrong with it."""
    flow = LabelFlow(known)
    return flow.labels(promql_parser.parse(expr)), flow.faults


def _watched(alarms: AlarmSet) -> Iterator[Evaluated]:
    """What the report of a drill draws of each alarm."""
    for alarm in alarms.alarms:
        for expr in filter(None, (alarm.watch.signal, alarm.watch.baseline, alarm.watch.threshold)):
            yield Evaluated(expr, user=alarm.alarm)


def _queries_of_variables(alarms: AlarmSet, loaded: LoadedCatalog) -> Iterator[tuple[str, frozenset[str]]]:
    """The words of the query of each variable of a dashboard."""
    for path, text in render_dashboards(loaded.catalog, alarms.canonical.unbound, alarms.boards).items():
        for variable in parse_board(text, path).variables:
            yield f"{Path(path).stem}/${variable.name}", _words(variable.query)
