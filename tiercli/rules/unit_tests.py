"""promtool unit tests, made from the alarms' own files.

promtool checks only the alerts that a test names, so every check names all alarms, the silent ones with an empty list.
The alert rules are tested alone, with what they read injected: recorded series beside a rule that records them would be
duplicate samples.
"""

from __future__ import annotations

import re
from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.conventions import GROUP_PREFIX
from tiercli.rules.alarm import Alarm, Case, CaseAlert
from tiercli.rules.alerting import alert_annotations, alert_labels, build_alert_rule
from tiercli.rules.recording import threshold_records
from tiercli.signals.promql import selector

ALERT_RULES_FILE = "alerts.yml"
INTERVAL = "15s"


def build_tested_rules(catalog: Catalog, alarms: tuple[Alarm, ...]) -> dict[str, Any]:
    """The alert rules of the rule file, and nothing else: what the unit tests load."""
    groups = []
    for name in dict.fromkeys(alarm.group for alarm in alarms):
        rules = [build_alert_rule(catalog, alarm) for alarm in alarms if alarm.group == name]
        groups.append({"name": f"{GROUP_PREFIX}-{name}", "rules": rules})
    return {"groups": groups}


def build_unit_tests(catalog: Catalog, alarms: tuple[Alarm, ...]) -> dict[str, Any]:
    """promtool's test file: every case of every alarm. Recorded thresholds are there, as in production."""
    overrides = [
        {"series": selector(record.record, record.labels), "values": f"{_constant(record.expr)}x120"}
        for record in threshold_records(catalog, alarms)
    ]
    return {
        "rule_files": [ALERT_RULES_FILE],
        "evaluation_interval": INTERVAL,
        "group_eval_order": list(dict.fromkeys(f"{GROUP_PREFIX}-{alarm.group}" for alarm in alarms)),
        "tests": [_test(catalog, alarms, alarm, case, overrides) for alarm in alarms for case in alarm.cases],
    }


def _test(
    catalog: Catalog, alarms: tuple[Alarm, ...], subject: Alarm, case: Case, overrides: list[dict[str, str]]
) -> dict[str, Any]:
    checks = []
    for at in case.at:
        for alarm in alarms:
            expected = [_expected(catalog, alarm, alert) for alert in case.fires] if alarm is subject else []
            if alarm.expr == "vector(1)":
                expected = [_expected(catalog, alarm, CaseAlert(labels={}, value=1))]
            checks.append({"eval_time": at, "alertname": alarm.alarm, "exp_alerts": expected})
    return {
        "name": f"{subject.alarm} {case.name}",
        "interval": INTERVAL,
        "input_series": [*({"series": one.series, "values": one.values} for one in case.series), *overrides],
        "alert_rule_test": checks,
    }


def _constant(expr: str) -> str:
    return expr.removeprefix("vector(").removesuffix(")")


def _expected(catalog: Catalog, alarm: Alarm, alert: CaseAlert) -> dict[str, Any]:
    annotations = {
        name: expand_template(text, alert.labels, alert.value)
        for name, text in alert_annotations(catalog, alarm).items()
    }
    return {"exp_labels": {**alert_labels(catalog, alarm), **alert.labels}, "exp_annotations": annotations}


def expand_template(text: str, labels: dict[str, str], value: float) -> str:
    """What Prometheus makes of the Go templates that alarm files can write: labels, and a value in three formats."""

    def replace(match: re.Match[str]) -> str:
        expression = match[1].strip()
        if expression.startswith("$labels."):
            name, _, pipe = expression.removeprefix("$labels.").partition("|")
            found = labels.get(name.strip(), "")
            return go_query_escape(found) if pipe.strip() == "urlquery" else found
        formats = {
            '$value | printf "%.0f"': f"{value:.0f}",
            '$value | printf "%.2f"': f"{value:.2f}",
            "$value | humanizePercentage": f"{value * 100:.4g}%",
        }
        return formats[expression]

    return re.sub(r"\{\{(.*?)\}\}", replace, text)


def go_query_escape(text: str) -> str:
    """As Go's url.QueryEscape, which the template function urlquery calls: space is a plus sign."""
    from urllib.parse import quote_plus

    return quote_plus(text, safe="~")
