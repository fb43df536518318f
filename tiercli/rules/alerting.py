"""Rule files: groups of recording and alert rules."""

from __future__ import annotations

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
from tiercli.rules.alarm import Alarm
from tiercli.rules.policies import Policies
from tiercli.rules.recording import CanonicalRecords, build_records, canonical_records
from tiercli.signals.rule import Rule, RuleGroup
from tiercli.signals.timing import Timing


def build_rule_groups(
    loaded: LoadedCatalog, timing: Timing, alarms: tuple[Alarm, ...], canonical: CanonicalRecords | None = None
) -> list[RuleGroup]:
    """The groups of the rule file: each with its recording rules, then the alerts that read them."""
    canonical = canonical or canonical_records(loaded, timing)
    records = build_records(loaded, timing, alarms, canonical)
    groups = []
    for name in dict.fromkeys((*records, *(alarm.group for alarm in alarms))):
        rules = list(records.get(name, ()))
        rules += [build_alert_rule(loaded.catalog, alarm, timing) for alarm in alarms if alarm.group == name]
        if rules:
            interval = format_duration(timing.group_interval_s(canonical.intervals.get(name)))
            groups.append(RuleGroup(f"{GROUP_PREFIX}-{name}", tuple(rules), interval))
    return groups


def build_alert_rule(catalog: Catalog, alarm: Alarm, timing: Timing) -> Rule:
    """One alert rule, with the labels and annotations that every alert carries."""
    policies = Policies(catalog, alarm, timing)
    return Rule(
        "alert",
        alarm.alarm,
        policies.expr(),
        {name: value for name, value in alert_labels(catalog, alarm).items() if name not in policies.carried},
        alert_annotations(catalog, alarm),
        parse_duration(policies.for_),
        parse_duration(alarm.keep_firing_for or "0s"),
    )


def alert_labels(catalog: Catalog, alarm: Alarm) -> dict[str, str]:
    """The labels of every alert beside its identity; they identify it on a shared Prometheus too. Severity and owner are the
    defaults."""
    return {
        ESTATE_LABEL: catalog.estate,
        ENV_LABEL: catalog.env,
        SEVERITY_LABEL: alarm.severity,
        OWNER_LABEL: alarm.owner,
        SOURCE_LABEL: alarm.source,
    }


def alert_annotations(catalog: Catalog, alarm: Alarm) -> dict[str, str]:
    """The annotations of an alert, with Go templates: what happened, why, what to do, where to look."""
    panel = alarm.panel
    variables = "".join(
        f"{{{{ with $labels.{label} }}}}&var-{label}={{{{ . | urlquery }}}}{{{{ end }}}}"
        if label in alarm.optional
        else f"&var-{label}={{{{ $labels.{label} | urlquery }}}}"
        for label in alarm.identity
        if label in panel.variables
    )
    dashboard = f"{catalog.links.grafana}/d/{dashboard_uid(panel.dashboard, catalog.estate, catalog.env)}"
    return {
        "summary": alarm.summary,
        "description": alarm.description,
        "action": alarm.action,
        "sla": alarm.sla,
        "runbook_url": f"{catalog.links.runbooks}/{alarm.alarm}",
        "dashboard_url": f"{dashboard}?viewPanel={panel.id}{variables}",
    }
