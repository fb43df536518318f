"""Rule files: groups of recording and alert rules, each expression parsed and checked against what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.conventions import (
    ENV_LABEL,
    ESTATE_LABEL,
    GROUP_PREFIX,
    OWNER_LABEL,
    SEVERITY_LABEL,
    SOURCE_LABEL,
    dashboard_uid,
    threshold_series,
)
from tiercli.durations import format_duration, parse_duration
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.rules.alarm import Alarm, Record
from tiercli.rules.recording import build_records
from tiercli.signals.expressions import check_expression
from tiercli.signals.panels import panel_id
from tiercli.signals.timing import Timing


def build_rule_groups(loaded: LoadedCatalog, timing: Timing, alarms: tuple[Alarm, ...]) -> dict[str, Any]:
    """The content of the rule file: every group with its recording rules, then the alerts that read them."""
    records = build_records(loaded, timing, alarms)
    check_rules(records, alarms)
    interval = format_duration(timing.evaluation_s)
    groups = []
    for name in dict.fromkeys((*records, *(alarm.group for alarm in alarms))):
        rules = [_recording_rule(record) for record in records.get(name, ())]
        rules += [build_alert_rule(loaded.catalog, alarm) for alarm in alarms if alarm.group == name]
        if rules:
            groups.append({"name": f"{GROUP_PREFIX}-{name}", "interval": interval, "rules": rules})
    return {"groups": groups}


def build_alert_rule(catalog: Catalog, alarm: Alarm) -> dict[str, Any]:
    """One alert rule, with the labels and annotations that every alert carries."""
    rule: dict[str, Any] = {"alert": alarm.alarm, "expr": alarm.expr}
    if parse_duration(alarm.for_):
        rule["for"] = alarm.for_
    if alarm.keep_firing_for is not None:
        rule["keep_firing_for"] = alarm.keep_firing_for
    rule["labels"] = alert_labels(catalog, alarm)
    rule["annotations"] = alert_annotations(catalog, alarm)
    return rule


def alert_labels(catalog: Catalog, alarm: Alarm) -> dict[str, str]:
    """What every alert of this estate says beside its identity; on a shared Prometheus too."""
    return {
        ESTATE_LABEL: catalog.estate,
        ENV_LABEL: catalog.env,
        SEVERITY_LABEL: alarm.severity,
        OWNER_LABEL: owner_of(catalog, alarm),
        SOURCE_LABEL: alarm.source,
    }


def alert_annotations(catalog: Catalog, alarm: Alarm) -> dict[str, str]:
    """What an alert tells the person who reads it: what, why, what to do, where to look. Go templates in it."""
    panel = alarm.panel
    variables = "".join(f"&var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in alarm.identity)
    dashboard = f"{catalog.links.grafana}/d/{dashboard_uid(panel.dashboard, catalog.estate)}"
    return {
        "summary": alarm.summary,
        "description": alarm.description,
        "action": alarm.action,
        "sla": alarm.sla,
        "runbook_url": f"{catalog.links.runbooks}/{alarm.alarm}",
        "dashboard_url": f"{dashboard}?viewPanel={panel_id(panel.dashboard, panel.panel)}{variables}",
    }


def owner_of(catalog: Catalog, alarm: Alarm) -> str:
    """Who an alarm belongs to: the alarm's own owner, else the first owner of the catalog."""
    return alarm.owner or next(iter(catalog.owners))


def check_rules(records: Mapping[str, Iterable[Record]], alarms: Iterable[Alarm]) -> None:
    """Raise InvalidInput for every expression that does not parse or names something unknown."""
    alarms = tuple(alarms)
    own = {record.record: frozenset(record.labels) for group in records.values() for record in group}
    identities = {record.record: alarm.identity for alarm in alarms for record in alarm.records}
    more = {
        name: labels | frozenset(identities.get(name, ())) for name, labels in own.items() if name not in _recorded()
    }
    for alarm in alarms:
        more |= {threshold_series(alarm.alarm, name): frozenset(alarm.identity) for name in alarm.thresholds}
    problems: list[Problem] = []
    for group in records.values():
        for record in group:
            problems += check_expression(record.expr, Location(record.record), more)
    for alarm in alarms:
        place = Location(f"{alarm.alarm}.yml.j2")
        watched = (alarm.watch.signal, alarm.watch.baseline, alarm.watch.threshold, alarm.window_fill.share)
        for expr in (alarm.expr, alarm.departure, *(text for text in watched if text)):
            problems += check_expression(expr, place, more)
    if problems:
        raise InvalidInput("rules that Prometheus could not evaluate", problems)


def _recorded() -> frozenset[str]:
    from tiercli.signals.recorded import RECORDED_BY_NAME

    return frozenset(RECORDED_BY_NAME)


def _recording_rule(record: Record) -> dict[str, Any]:
    rule: dict[str, Any] = {"record": record.record, "expr": record.expr}
    if record.labels:
        rule["labels"] = dict(record.labels)
    return rule
