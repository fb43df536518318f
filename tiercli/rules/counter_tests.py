"""Unit tests from the raw metrics of the canonical contract, through the recording rules, to the alerts.

They load the recording rules that an alarm depends on, and inject nothing that those record: there is no baseline in them.
Constants, of which there may be ten thousand, are loaded only if the alarm reads them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.durations import format_duration, parse_duration
from tiercli.rules.alarm import Alarm, CounterCase, CounterSeries
from tiercli.rules.policies import Policies
from tiercli.rules.unit_tests import alert_test
from tiercli.signals.expressions import series_read
from tiercli.signals.rule import RuleGroup
from tiercli.signals.timing import Timing

STEP_S = 15
WARM_UP_S = 600
GAP_S = 120
# A range is read this long after the last event in it.
_SETTLED_S = 360


def build_counted_rules(groups: Sequence[RuleGroup], alarm: Alarm) -> list[RuleGroup]:
    """An alarm's rule out of `groups`, and every recording rule that it depends on, in their groups and order."""
    records: dict[str, list[str]] = {}
    for rule in (rule for group in groups for rule in group.rules):
        records.setdefault(rule.name, []).append(rule.expr)
    needed = {alarm.alarm}
    waiting = [*records.get(alarm.alarm, ()), *(record.expr for record in alarm.records)]
    while waiting:
        new = series_read(waiting.pop()) - needed
        needed |= new
        waiting += [expr for name in new for expr in records.get(name, ())]
    kept = [(group, tuple(rule for rule in group.rules if rule.name in needed)) for group in groups]
    return [group._replace(rules=rules) for group, rules in kept if rules]


def build_counter_tests(
    catalog: Catalog, subject: Alarm, timing: Timing, groups: Sequence[RuleGroup], rules_file: str
) -> dict[str, Any]:
    """promtool's test file for an alarm's counter cases. `groups`: what the file `rules_file` holds, with this alarm."""
    policies = Policies(catalog, subject, timing)
    held_s = math.ceil(policies.longest_s / STEP_S) * STEP_S
    return {
        "rule_files": [rules_file],
        "evaluation_interval": format_duration(STEP_S),
        "group_eval_order": [group.name for group in groups],
        "tests": [_test(case, subject, policies, held_s, catalog) for case in subject.counters],
    }


def _test(case: CounterCase, alarm: Alarm, policies: Policies, held_s: int, catalog: Catalog) -> dict[str, Any]:
    window_s = math.ceil(parse_duration(alarm.window) / STEP_S) * STEP_S
    event_s = WARM_UP_S + window_s + held_s
    end_s = event_s + GAP_S + window_s + held_s + _SETTLED_S
    return {
        "name": f"{alarm.alarm} {case.name}",
        "interval": format_duration(STEP_S),
        "input_series": [
            {"series": series.series, "values": _values(series, case, event_s // STEP_S, end_s // STEP_S)}
            for series in case.series
        ],
        "alert_rule_test": [
            alert_test(catalog, alarm, at_s, case.fires, policies) for at_s in _moments(case, event_s, held_s, end_s)
        ],
    }


def _moments(case: CounterCase, event_s: int, held_s: int, end_s: int) -> Iterator[int]:
    """When a case is checked: at the end; if nothing may fire, also every minute from the event on; a birth soon after it, before
    it leaves the window."""
    if case.event == "birth" and case.fires:
        yield event_s + held_s + 2 * STEP_S
        return
    if not case.fires:
        yield from range(event_s, end_s, 60)
    yield end_s


def _values(series: CounterSeries, case: CounterCase, event: int, last: int) -> str:
    """promtool's notation, one value per step, with the case's event at step `event`. A counter that does not grow stays at 1:
    it has counted once."""
    step = (series.per_minute or 0) * STEP_S / 60
    first = series.value if series.value is not None else float(step == 0)
    missed = GAP_S // STEP_S
    match case.event:
        case "reset" if series.value is None:
            return " ".join((_run(first, step, event), _run(first, step, last + 1 - event)))
        case "gap":
            after = first + step * (event + missed)
            return " ".join((_run(first, step, event), f"_x{missed}", _run(after, step, last + 1 - event - missed)))
        case "birth":
            return " ".join((f"_x{event}", _run(first or 1, step, last + 1 - event)))
    return _run(first, step, last + 1)


def _run(first: float, step: float, count: int) -> str:
    return f"{first:g}+{step:g}x{count - 1}"
