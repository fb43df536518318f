"""The cardinality policy checked against alarms and dashboards: a label that one of them needs must stay."""

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
from tiercli.signals.bindings import counts_contract
from tiercli.signals.contract import CONTRACT, METRICS_BY_NAME, METRICS_BY_SERIES, Metric, MetricType
from tiercli.signals.expressions import all_read, known_series, series_read
from tiercli.signals.label_flow import LabelFlow
from tiercli.signals.label_policy import governs, tenant_groups
from tiercli.signals.recorded import RECORDED_BY_NAME


def check_policy(loaded: LoadedCatalog, template_folders: Sequence[Path] = ()) -> list[Problem]:
    """Problems of a catalog's policy: unknown names, contradicting entries, labels that are needed."""
    entries = loaded.catalog.cardinality.policy
    problems = [problem for number, entry in enumerate(entries) for problem in _names(loaded, number, entry)]
    for number, entry in enumerate(entries):
        if entry.where == "gateway" and not counts_contract(loaded.catalog.gateway.binding):
            message = f"a gateway of binding {loaded.catalog.gateway.binding!r} counts its own metrics, which this policy does not cover"
            place = ("cardinality", "policy", number)
            problems.append(
                loaded.problem(place, message, "where: rules, which groups tenants in recorded series", key=True)
            )
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
                    message = f"{metric.name} needs {label!r}: {listed_names(users)} use{'s' * (len(users) == 1)} it"
                    free = [name for name in metric.labels if not needs.get((metric.name, name))]
                    accepted = f"of its labels: {', '.join(free)}" if free else "none: every label is needed"
                    problems.append(loaded.problem(at, message, accepted))
    return problems


def needed_labels(alarms: AlarmSet, loaded: LoadedCatalog) -> dict[tuple[str, str], tuple[str, ...]]:
    """By metric of the contract and label, what needs the label: alarms, and panels as dashboard/panel."""
    expressions = list(evaluated(alarms, loaded))
    reads: dict[str, set[str]] = defaultdict(set)
    for expression in expressions:
        if expression.record:
            reads[expression.record] |= series_read(expression.expr)
    users: dict[str, list[str]] = defaultdict(list)  # of each series, directly or through recorded series
    for expression in expressions:
        if expression.user:
            for name in all_read(series_read(expression.expr), reads):
                users[name].append(expression.user)
    known = known_series()
    needs: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for expression in expressions:
        parsed = promql_parser.parse(expression.expr)
        for metric in {METRICS_BY_SERIES[name] for name in series_read(expression.expr) if name in METRICS_BY_SERIES}:
            for label in metric.labels:
                less = {name: (known[name] or frozenset()) - {label} for name in metric.exposed_names}
                if _goes_wrong(parsed, {**known, **less}, expression.record):
                    who = [expression.user] if expression.user else users.get(expression.record, [])
                    needs[metric.name, label].update(dict.fromkeys(who))
    return {key: tuple(who) for key, who in needs.items() if who}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """PromQL, and the series that records it, or the alarm or panel that uses it."""

    expr: str
    record: str = ""
    user: str = ""


def evaluated(alarms: AlarmSet, loaded: LoadedCatalog) -> Iterator[Evaluated]:
    """Everything that Prometheus is asked to evaluate for a catalog."""
    for records in alarms.canonical.groups.values():
        yield from (Evaluated(record.expr, record=record.name) for record in records)
    for alarm in alarms.alarms:
        yield from (Evaluated(record.expr, record=record.record) for record in alarm.records)
        yield Evaluated(alarm.expr, user=alarm.alarm)
        for expr in filter(None, (alarm.departure, alarm.fills)):
            yield Evaluated(expr, user=f"a drill of {alarm.alarm}")
    for path, text in render_dashboards(loaded.catalog, alarms.canonical.unbound, alarms.boards).items():
        for panel in read_board(text, path)[1]:
            yield from (Evaluated(expr, user=f"{panel.board}/{panel.title}") for expr in panel.expressions)


def _goes_wrong(parsed: object, known: Mapping[str, frozenset[str] | None], record: str) -> bool:
    """Whether an expression is invalid over `known`, or does not yield the labels of its recorded series."""
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
        earlier = next(
            (position for position in range(number) if governs(catalog.cardinality.policy[position], metric)), None
        )
        if earlier is not None:
            message = f"{metric.name} already has a policy, entry {earlier + 1}"
            yield loaded.problem((*path, "metrics"), message, "one entry per metric")
    labels = sorted({label for metric in governed for label in metric.labels})
    for position, label in enumerate(entry.drop):
        place = loaded.document.locate((*path, "drop", position))
        if governed and label not in labels:
            yield unknown_name("label", label, labels, place, " of these metrics")
        gauges = [metric.name for metric in governed if metric.type is MetricType.GAUGE and label in metric.labels]
        if gauges:
            message = f"{listed_names(gauges)} cannot lose {label!r}: values of a gauge cannot be summed"
            yield Problem(place, message, "labels of counters and histograms")
    if entry.where == "rules":
        if entry.drop:
            message = "rules cannot drop labels"
            yield loaded.problem((*path, "drop"), message, "rare_tenants, or where: gateway", key=True)
        if entry.rare_tenants is None:
            yield loaded.problem(path, "where: rules without rare_tenants", "rare_tenants", key=True)
        elif not tenant_groups(catalog, entry.rare_tenants).kept:
            yield loaded.problem((*path, "rare_tenants"), "no tenant keeps its name", "`keep` or `top`", key=True)
    if entry.rare_tenants is not None:
        for position, name in enumerate(entry.rare_tenants.keep):
            if name not in catalog.tenants:
                place = loaded.document.locate((*path, "rare_tenants", "keep", position))
                yield unknown_name("tenant", name, catalog.tenants, place)
        if entry.rare_tenants.rest in catalog.tenants:
            message = f"{entry.rare_tenants.rest!r} is the name of a tenant: it would be merged with the group"
            yield loaded.problem((*path, "rare_tenants"), message, "a name in `rest` that no tenant has")
        if governed and not any("tenant" in metric.labels for metric in governed):
            yield loaded.problem((*path, "rare_tenants"), "none of these metrics has the label tenant", key=True)


def listed_names(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
