"""Rule files: groups of recording and alert rules."""

from __future__ import annotations

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
)
from tiercli.durations import format_duration, parse_duration
from tiercli.rules.alarm import Alarm, Record
from tiercli.rules.policies import Policies
from tiercli.rules.recording import CanonicalRecords, build_records, canonical_records
from tiercli.signals.panels import panel_id
from tiercli.signals.timing import Timing


def build_rule_groups(
    loaded: LoadedCatalog, timing: Timing, alarms: tuple[Alarm, ...], canonical: CanonicalRecords | None = None
) -> dict[str, Any]:
    """The content of the rule file: every group with its recording rules, then the alerts that read them."""
    canonical = canonical or canonical_records(loaded, timing)
    records = build_records(loaded, timing, alarms, canonical)
    groups = []
    for name in dict.fromkeys((*records, *(alarm.group for alarm in alarms))):
        rules = [_recording_rule(record) for record in records.get(name, ())]
        rules += [build_alert_rule(loaded.catalog, alarm, timing) for alarm in alarms if alarm.group == name]
        if rules:
            interval = format_duration(timing.group_interval_s(canonical.intervals.get(name)))
            groups.append({"name": f"{GROUP_PREFIX}-{name}", "interval": interval, "rules": rules})
    return {"groups": groups}


def build_alert_rule(catalog: Catalog, alarm: Alarm, timing: Timing) -> dict[str, Any]:
    """One alert rule, with the labels and annotations that every alert carries."""
    policies = Policies(catalog, alarm, timing)
    rule: dict[str, Any] = {"alert": alarm.alarm, "expr": policies.expr()}
    if parse_duration(policies.for_):
        rule["for"] = policies.for_
    if alarm.keep_firing_for is not None:
        rule["keep_firing_for"] = alarm.keep_firing_for
    rule["labels"] = {
        name: value for name, value in alert_labels(catalog, alarm).items() if name not in policies.carried
    }
    rule["annotations"] = alert_annotations(catalog, alarm)
    return rule


def alert_labels(catalog: Catalog, alarm: Alarm) -> dict[str, str]:
    """What every alert of this estate says beside its identity; on a shared Prometheus too. Severity and owner are those
    of whom no policy is for."""
    return {
        ESTATE_LABEL: catalog.estate,
        ENV_LABEL: catalog.env,
        SEVERITY_LABEL: alarm.severity,
        OWNER_LABEL: alarm.owner,
        SOURCE_LABEL: alarm.source,
    }


def alert_annotations(catalog: Catalog, alarm: Alarm) -> dict[str, str]:
    """What an alert tells the person who reads it: what, why, what to do, where to look. Go templates in it."""
    panel = alarm.panel
    variables = "".join(f"&var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in alarm.identity)
    dashboard = f"{catalog.links.grafana}/d/{dashboard_uid(panel.dashboard, catalog.estate, catalog.env)}"
    return {
        "summary": alarm.summary,
        "description": alarm.description,
        "action": alarm.action,
        "sla": alarm.sla,
        "runbook_url": f"{catalog.links.runbooks}/{alarm.alarm}",
        "dashboard_url": f"{dashboard}?viewPanel={panel_id(panel.dashboard, panel.panel)}{variables}",
    }


def _recording_rule(record: Record) -> dict[str, Any]:
    rule: dict[str, Any] = {"record": record.record, "expr": record.expr}
    if record.labels:
        rule["labels"] = dict(record.labels)
    return rule
