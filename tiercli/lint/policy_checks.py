"""The cardinality policy against everything that reads the metrics: a label that an alarm or a dashboard needs stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import promql_parser

from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import LabelPolicy
from tiercli.catalog.names import unknown_name
from tiercli.dashboards import render_dashboards
from tiercli.errors import Problem
from tiercli.lint.linted import read_board
from tiercli.rules.alarm_files import AlarmSet, load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.signals.bindings import CANONICAL_BINDING
from tiercli.signals.contract import CONTRACT, METRICS_BY_NAME, METRICS_BY_SERIES, Metric, MetricType
from tiercli.signals.expressions import all_read, known_series, series_read
from tiercli.signals.label_flow import LabelFlow
from tiercli.signals.label_policy import governs, tenant_groups
from tiercli.signals.recorded import RECORDED_BY_NAME


def check_policy(loaded: LoadedCatalog, template_folders: Sequence[Path] = ()) -> list[Problem]:
    """What is wrong with the policy of a catalog: names, entries that contradict each other, labels that are needed."""
    entries = loaded.catalog.cardinality.policy
    problems = [problem for number, entry in enumerate(entries) for problem in _names(loaded, number, entry)]
    for number, entry in enumerate(entries):
        if entry.where == "gateway" and loaded.catalog.gateway.binding != CANONICAL_BINDING:
            said = f"a gateway of binding {loaded.catalog.gateway.binding!r} counts metrics of its own"
            place = ("cardinality", "policy", number)
            problems.append(loaded.problem(place, said, "where: rules, which group what they record of it", key=True))
    if problems:
        return problems
    needs = None
    for number, entry in enumerate(entries):
        for metric in _governed(entry):
            for label in entry.drop:
                if label not in metric.labels:
                    continue
                needs = needs or needed_labels(
                    load_alarm_set(loaded, timing_of(loaded.catalog), template_folders), loaded
                )
                if users := needs.get((metric.name, label)):
                    at = ("cardinality", "policy", number, "drop", entry.drop.index(label))
                    said = (
                        f"{metric.name} cannot go without {label!r}: {_listed(users)} need{'s' * (len(users) == 1)} it"
                    )
                    free = [one for one in metric.labels if not needs.get((metric.name, one))]
                    accepted = f"of its labels: {', '.join(free)}" if free else "none of its labels can go"
                    problems.append(loaded.problem(at, said, accepted))
    return problems


def needed_labels(alarms: AlarmSet, loaded: LoadedCatalog) -> dict[tuple[str, str], tuple[str, ...]]:
    """By metric of the contract and label, who needs the label: alarms, and panels as dashboard/panel."""
    expressions = list(_expressions(alarms, loaded))
    reads: dict[str, set[str]] = defaultdict(set)
    for one in expressions:
        if one.record:
            reads[one.record] |= series_read(one.expr)
    users: dict[str, list[str]] = defaultdict(list)  # of each series, at whatever distance
    for one in expressions:
        if one.user:
            for name in all_read(series_read(one.expr), reads):
                users[name].append(one.user)
    known = known_series()
    needs: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for one in expressions:
        parsed = promql_parser.parse(one.expr)
        for metric in {METRICS_BY_SERIES[name] for name in series_read(one.expr) if name in METRICS_BY_SERIES}:
            for label in metric.labels:
                less = {name: (known[name] or frozenset()) - {label} for name in metric.exposed_names}
                if _goes_wrong(parsed, {**known, **less}, one.record):
                    who = [one.user] if one.user else users.get(one.record, [])
                    needs[metric.name, label].update(dict.fromkeys(who))
    return {key: tuple(who) for key, who in needs.items() if who}


@dataclass(frozen=True, slots=True)
class _Expression:
    """PromQL, and the series that it is recorded as, or who else reads it."""

    expr: str
    record: str = ""
    user: str = ""


def _expressions(alarms: AlarmSet, loaded: LoadedCatalog) -> Iterator[_Expression]:
    for records in alarms.canonical.groups.values():
        yield from (_Expression(record.expr, record=record.name) for record in records)
    for alarm in alarms.alarms:
        yield from (_Expression(record.expr, record=record.record) for record in alarm.records)
        yield _Expression(alarm.expr, user=alarm.alarm)
        for expr in filter(None, (alarm.departure, alarm.fills)):
            yield _Expression(expr, user=f"a drill of {alarm.alarm}")
    for path, text in render_dashboards(loaded.catalog, alarms.canonical.unbound).items():
        for panel in read_board(text, path)[1]:
            yield from (_Expression(expr, user=f"{panel.board}/{panel.title}") for expr in panel.expressions)


def _goes_wrong(parsed: object, known: Mapping[str, frozenset[str] | None], record: str) -> bool:
    """Whether an expression is not sound over `known`, or does not yield the labels that it is recorded with."""
    flow = LabelFlow(known)
    labels = flow.labels(parsed)
    recorded = RECORDED_BY_NAME.get(record)
    return bool(flow.faults) or (recorded is not None and labels is not None and not set(recorded.labels) <= labels)


def _governed(entry: LabelPolicy) -> list[Metric]:
    return [metric for metric in CONTRACT if governs(entry, metric)]


def _names(loaded: LoadedCatalog, number: int, entry: LabelPolicy) -> Iterator[Problem]:
    catalog, path = loaded.catalog, ("cardinality", "policy", number)
    governed = _governed(entry)
    for position, pattern in enumerate(entry.metrics):
        place = loaded.document.locate((*path, "metrics", position))
        if "*" not in pattern and pattern not in METRICS_BY_NAME:
            yield unknown_name("metric", pattern, METRICS_BY_NAME, place, " in the policy")
        elif not any(governs(entry.model_copy(update={"metrics": (pattern,)}), metric) for metric in CONTRACT):
            yield Problem(place, f"{pattern!r} matches no metric that has such a label", ", ".join(METRICS_BY_NAME))
    for metric in governed:
        earlier = next((one for one in range(number) if governs(catalog.cardinality.policy[one], metric)), None)
        if earlier is not None:
            said = f"{metric.name} has a policy already, entry {earlier + 1}"
            yield loaded.problem((*path, "metrics"), said, "one entry for a metric")
    labels = sorted({label for metric in governed for label in metric.labels})
    for position, label in enumerate(entry.drop):
        place = loaded.document.locate((*path, "drop", position))
        if governed and label not in labels:
            yield unknown_name("label", label, labels, place, " of these metrics")
        gauges = [one.name for one in governed if one.type is MetricType.GAUGE and label in one.labels]
        if gauges:
            said = f"{_listed(gauges)} cannot go without {label!r}: values of a gauge cannot be added up"
            yield Problem(place, said, "labels of counters and histograms")
    if entry.where == "rules":
        if entry.drop:
            said = "labels are dropped where they are counted, and not by rules"
            yield loaded.problem((*path, "drop"), said, "rare_tenants, or where: gateway", key=True)
        if entry.rare_tenants is None:
            yield loaded.problem(path, "nothing is grouped by rules", "rare_tenants", key=True)
        elif not tenant_groups(catalog, entry.rare_tenants).kept:
            yield loaded.problem((*path, "rare_tenants"), "nobody keeps their name", "`keep` or `top`", key=True)
    if entry.rare_tenants is not None:
        for position, name in enumerate(entry.rare_tenants.keep):
            if name not in catalog.tenants:
                place = loaded.document.locate((*path, "rare_tenants", "keep", position))
                yield unknown_name("tenant", name, catalog.tenants, place)
        if entry.rare_tenants.rest in catalog.tenants:
            said = f"{entry.rare_tenants.rest!r} is a tenant: it and all others would be one"
            yield loaded.problem((*path, "rare_tenants"), said, "a name in `rest` that no tenant has")
        if governed and not any("tenant" in metric.labels for metric in governed):
            yield loaded.problem((*path, "rare_tenants"), "none of these metrics has the label tenant", key=True)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
