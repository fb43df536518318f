"""promtool unit tests, from the cases in the alarms' files.

promtool checks only the alerts that a test names, so every check names all alarms, the silent ones with an empty list.
The alert rules are loaded alone and their inputs injected: a rule that records an injected series would duplicate samples.
There is one file per alarm, because the time between evaluations follows from the alarm's `for`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from tiercli.catalog.model import OVERRIDE_LABELS, Catalog
from tiercli.conventions import GROUP_PREFIX, HEARTBEAT, OWNER_LABEL, SEVERITY_LABEL, policy_series
from tiercli.durations import format_duration, parse_duration
from tiercli.rules.alarm import Alarm, Case, CaseAlert, CaseSeries
from tiercli.rules.alerting import alert_annotations, alert_labels, build_alert_rule
from tiercli.rules.policies import Policies
from tiercli.rules.thresholds import number, threshold_records
from tiercli.signals.expressions import series_labels
from tiercli.signals.promql import selector
from tiercli.signals.rule import Rule, RuleGroup
from tiercli.signals.timing import Timing

ALERT_RULES_FILE = "alerts.yml"
# Seconds between evaluations, and how many of them a `for` is at most: promtool is slow over many.
SHORTEST_STEP_S = 15
MOST_STEPS = 60
# How long a case lasts: this many evaluations after the event, and in all long enough for another alarm with a `for` of five
# minutes to fire too.
LATER_STEPS = 8
LEAST_S = 330


def build_tested_rules(catalog: Catalog, alarms: tuple[Alarm, ...], timing: Timing) -> list[RuleGroup]:
    """The alert rules without recording rules, which the unit tests load."""
    rules: dict[str, list[Rule]] = {}
    for alarm in alarms:
        rules.setdefault(alarm.group, []).append(build_alert_rule(catalog, alarm, timing))
    return [RuleGroup(f"{GROUP_PREFIX}-{name}", tuple(group)) for name, group in rules.items()]


def build_unit_tests(catalog: Catalog, alarms: tuple[Alarm, ...], subject: Alarm, timing: Timing) -> dict[str, Any]:
    """promtool's test file for one alarm: every case of it, each naming every alarm."""
    policies = Policies(catalog, subject, timing)
    constants = [*threshold_records(catalog, subject), *policies.records()]
    step_s = _step_s(subject, policies)
    tests = []
    for case in subject.cases:
        held_steps = _held_steps(case, policies, step_s)
        if case.changing and case.changes == "early" and held_steps == 0:
            continue  # without a `for` there is no time before it
        last_step = _last_step(subject, step_s, held_steps)
        tests.append(
            {
                "name": f"{subject.alarm} {case.name}",
                "interval": format_duration(step_s),
                "input_series": [
                    *_inputs(case, constants, held_steps, last_step),
                    *_beginnings(case, subject, policies, last_step),
                ],
                "alert_rule_test": [
                    alert_test(catalog, alarm, step * step_s, fires if alarm is subject else (), policies)
                    for step, fires in _moments(case, subject, step_s, held_steps)
                    for alarm in alarms
                ],
            }
        )
    return {
        "rule_files": [ALERT_RULES_FILE],
        "evaluation_interval": format_duration(step_s),
        "group_eval_order": list(dict.fromkeys(f"{GROUP_PREFIX}-{alarm.group}" for alarm in alarms)),
        "tests": tests,
    }


def _step_s(alarm: Alarm, policies: Policies) -> int:
    longest_s = max(policies.longest_s, parse_duration(alarm.keep_firing_for or "0s"))
    return SHORTEST_STEP_S * max(1, math.ceil(longest_s / MOST_STEPS / SHORTEST_STEP_S))


def _held_steps(case: Case, policies: Policies, step_s: int) -> int:
    """How many evaluations the condition has to hold: the alarm's `for`, or the longer one of the case's labels."""
    least_s = parse_duration(policies.for_)
    whole_s = policies.of(case.fires[0].labels if case.fires else {}).for_s
    return math.ceil(max(0.0, whole_s - least_s) / step_s) + math.ceil(least_s / step_s)


def _beginnings(case: Case, alarm: Alarm, policies: Policies, last_step: int) -> Iterator[dict[str, str]]:
    """If `for` differs by label: the series that shows that the condition of the case's labels has held from the start."""
    if policies.since() is None:
        return
    named = [series_labels(labels.series) for labels in case.series]
    named += [alert.labels for alert in (*case.fires, *(case.later or ()))]
    required = [label for label in alarm.identity if label not in alarm.optional]
    whole = [
        {label: labels[label] for label in identity}
        for labels in named
        for identity in (alarm.identity, required)
        if set(identity) <= labels.keys()
    ]
    who = {tuple(labels.items()): labels for labels in whole}
    for labels in who.values():
        yield {"series": selector(policy_series(alarm.alarm, "since"), labels), "values": f"0x{last_step}"}


def _kept_steps(alarm: Alarm, step_s: int) -> int:
    return math.ceil(parse_duration(alarm.keep_firing_for or "0s") / step_s)


def _last_step(alarm: Alarm, step_s: int, held_steps: int) -> int:
    return max(held_steps + 1 + _kept_steps(alarm, step_s) + LATER_STEPS, math.ceil(LEAST_S / step_s))


def _moments(case: Case, alarm: Alarm, step_s: int, held_steps: int) -> Iterator[tuple[int, tuple[CaseAlert, ...]]]:
    """When a case is checked, in steps, and which of its alarm's alerts fire then."""
    later = case.fires if case.later is None else case.later
    if case.fires and held_steps:
        yield held_steps - 1, ()
    yield held_steps, case.fires
    if case.changing and case.changes == "late":
        # Alerts from before the change keep firing, up to the last evaluation that keep_firing_for covers.
        kept = _kept_steps(alarm, step_s)
        if kept and later != case.fires and not later:
            yield held_steps + kept, case.fires
            yield held_steps + 1 + kept, ()
    yield _last_step(alarm, step_s, held_steps), later


def _inputs(case: Case, constants: list[Rule], held_steps: int, last_step: int) -> list[dict[str, str]]:
    change_at = held_steps if case.changes == "early" else held_steps + 1
    inputs = [{"series": series.series, "values": _values(series, change_at, last_step)} for series in case.series]
    # The recorded thresholds for the case's labels.
    about = [series_labels(series.series) for series in case.series]
    for record in constants:
        about_labels = {label: value for label, value in record.labels.items() if label in OVERRIDE_LABELS}
        if any(about_labels.items() <= labels.items() for labels in about):
            value = record.expr.removeprefix("vector(").removesuffix(")")
            inputs.append({"series": selector(record.name, record.labels), "values": f"{value}x{last_step}"})
    return inputs


def _values(series: CaseSeries, change_at: int, last_step: int) -> str:
    """promtool's notation: VxN is V repeated N more times. NaN has no such form."""
    then = series.value if series.then is None else series.then
    parts = ((series.value, change_at), (then, last_step + 1 - change_at))
    texts = []
    for value, count in parts:
        if count and math.isnan(value):
            texts += ["NaN"] * count
        elif count:
            texts.append(f"{number(value)}x{count - 1}")
    return " ".join(texts)


def alert_test(
    catalog: Catalog, alarm: Alarm, at_s: int, fires: tuple[CaseAlert, ...], policies: Policies
) -> dict[str, Any]:
    """promtool's check that `at_s` seconds into a test exactly the alerts `fires` of `alarm` fire; the heartbeat always does."""
    if alarm.severity == HEARTBEAT:
        fires = (CaseAlert(labels={}, value=1),)
    return {
        "eval_time": format_duration(at_s),
        "alertname": alarm.alarm,
        "exp_alerts": _expected_alerts(catalog, alarm, fires, policies),
    }


def _expected_alerts(
    catalog: Catalog, alarm: Alarm, fires: tuple[CaseAlert, ...], policies: Policies
) -> list[dict[str, Any]]:
    """Alerts in promtool's form, with every label and annotation."""
    expected = []
    for alert in fires:
        annotations = {
            name: expand_template(text, alert.labels, alert.value)
            for name, text in alert_annotations(catalog, alarm).items()
        }
        labels = {**alert_labels(catalog, alarm), **alert.labels}
        if policies.carried and alarm.severity != HEARTBEAT:
            policy = policies.of(alert.labels)
            labels |= {SEVERITY_LABEL: policy.severity, OWNER_LABEL: policy.owner}
        expected.append({"exp_labels": labels, "exp_annotations": annotations})
    return expected


def expand_template(text: str, labels: Mapping[str, str], value: float) -> str:
    """`text` with its Go templates expanded, as Prometheus does for an alert with these labels and this value. Raises KeyError
    for a template that alarm files cannot contain."""

    def replace(match: re.Match[str]) -> str:
        expression = match[3].strip()
        if expression.startswith("$labels."):
            name, _, pipe = expression.removeprefix("$labels.").partition("|")
            label = labels.get(name.strip(), "")
            return query_escape(label) if pipe.strip() == "urlquery" else label
        formats = {
            '$value | printf "%.0f"': f"{value:.0f}",
            '$value | printf "%.2f"': f"{value:.2f}",
            '$value | printf "%.3g"': f"{value:.3g}",
            "$value | humanizePercentage": f"{value * 100:.4g}%",
        }
        return formats[expression]

    def given(match: re.Match[str]) -> str:
        if match[1] is None:
            return replace(match)
        label = labels.get(match[1], "")
        forms = {"{{ . }}": label, "{{ . | urlquery }}": query_escape(label)}
        return re.sub(r"\{\{.*?\}\}", lambda form: forms[form[0]], match[2]) if label else ""

    # One pass: what a label holds is no template.
    return re.sub(r"\{\{ with \$labels\.(\w+) \}\}(.*?)\{\{ end \}\}|\{\{(.*?)\}\}", given, text)


def query_escape(text: str) -> str:
    """As Go's url.QueryEscape, which the template function urlquery calls: space is a plus sign."""
    return quote_plus(text, safe="~")
