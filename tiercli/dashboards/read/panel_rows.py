"""From the answers to a panel's queries to its rows, by the panel's type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tiercli.dashboards.read.board import BoardPanel, Target
from tiercli.dashboards.read.fields import Look, State, look_of, state_of_color
from tiercli.dashboards.read.lines import line_rows
from tiercli.dashboards.read.reading_model import Answer, Answers, Line, PanelReading, Points, Row
from tiercli.dashboards.read.series_names import parse_matchers, series_name
from tiercli.dashboards.read.tables import table_rows

_CALCS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "lastNotNull": lambda values: values[-1],
    "last": lambda values: values[-1],
    "firstNotNull": lambda values: values[0],
    "first": lambda values: values[0],
    "mean": lambda values: sum(values) / len(values),
    "max": max,
    "min": min,
    "sum": sum,
    "count": len,
    "range": lambda values: max(values) - min(values),
    "diff": lambda values: values[-1] - values[0],
}
_SEVERITIES = {"page": State.BAD, "critical": State.BAD, "notify": State.WARN, "warning": State.WARN}


def read_panel(key: str, panel: BoardPanel, answers: Answers) -> PanelReading:
    """What `panel`, shown as `key`, says. Titles still hold their variables."""
    got = [(target, answers.queries.get((key, target.ref), Answer())) for target in panel.targets]
    lines = [(target, line) for target, answer in got for line in answer.lines]
    errors = [answer.error for _, answer in got if answer.error]
    rows: tuple[Row, ...] = ()
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if panel.type == "table":
        columns, rows, notes = table_rows(panel, lines)
    elif panel.type == "state-timeline":
        rows = tuple(_lane(panel, target, line, answers.at) for target, line in lines)
    elif panel.type in ("stat", "gauge", "bargauge"):
        rows = _reduced_rows(panel, lines, answers.at)
    elif panel.type == "alertlist":
        rows = _alert_rows(panel, answers)
        errors += [answers.alerts_error] if answers.alerts_error else []
    elif panel.type != "text":
        rows = line_rows(panel, lines, answers.at)
        if panel.type != "timeseries":
            notes = (f"a panel of the type {panel.type}, shown as lines",)
    return PanelReading(
        key=key,
        panel_id=panel.id,
        title=panel.title,
        type=panel.type,
        unit=panel.unit,
        description=panel.description,
        section=panel.section,
        rows=rows,
        columns=columns,
        content=str(panel.options.get("content") or "") if panel.type == "text" else "",
        errors=tuple(dict.fromkeys(errors)),
        notes=notes,
        no_value=str(panel.defaults.get("noValue") or "no data"),
    )


def _reduced_rows(panel: BoardPanel, lines: Sequence[tuple[Target, Line]], at: float) -> tuple[Row, ...]:
    """One number a series, as `reduceOptions` says."""
    names = (panel.options.get("reduceOptions") or {}).get("calcs") or ["lastNotNull"]
    calc = _CALCS.get(str(names[0]), _CALCS["lastNotNull"])
    reduced: list[tuple[Target, Line, Points, float | None]] = []
    for target, line in lines:
        points = tuple(point for point in line.points if not math.isnan(point[1]))
        reduced.append((target, line, points, float(calc([value for _, value in points])) if points else None))
    values = [value for *_, value in reduced if value is not None]
    low, high = min([0.0, *values]), max(values, default=1.0)
    rows = []
    for target, line, points, value in reduced:
        name = series_name(target.legend, line.labels)
        look = look_of(panel, name, target.ref)
        shown = look.show(value, low, high)
        age = at - points[-1][0] if points else 0.0
        rows.append(Row(name, line.labels, value, shown.text, shown.state, look.unit, age, points=points))
    return tuple(rows)


def _lane(panel: BoardPanel, target: Target, line: Line, at: float) -> Row:
    name = series_name(target.legend, line.labels)
    look = look_of(panel, name, target.ref)
    states = tuple(_lane_state(look, value) for _, value in line.points)
    now = line.points[-1][1] if line.points else None
    shown = look.show(now)
    return Row(
        name=name,
        labels=line.labels,
        now=now,
        text=shown.text,
        state=states[-1] if states else State.NONE,
        unit=look.unit,
        age_s=at - line.points[-1][0] if line.points else 0.0,
        points=line.points,
        point_states=states,
    )


def _lane_state(look: Look, value: float) -> State:
    shown = look.show(value)
    if shown.state is State.NONE and len(look.steps) == 1 and not look.mappings:
        return state_of_color(look.steps[0][1])
    return shown.state


def _alert_rows(panel: BoardPanel, answers: Answers) -> tuple[Row, ...]:
    """Alerts that the panel's options let through, firing ones and the worst severities first."""
    options = panel.options
    states = options.get("stateFilter") or {}
    wanted = str(options.get("alertName") or "").lower()
    matchers = str(options.get("alertInstanceLabelFilter") or "")
    rows = []
    for alert in answers.alerts:
        name = alert.labels.get("alertname", "")
        if states and not states.get(alert.state, False):
            continue
        if wanted not in name.lower() or not _picked(matchers, alert.labels):
            continue
        severity = _SEVERITIES.get(alert.labels.get("severity", ""), State.NONE)
        state = severity if alert.state == "firing" else State.WARN if severity is not State.NONE else State.NONE
        about = {label: value for label, value in alert.labels.items() if label not in ("alertname", "severity")}
        text = alert.annotations.get("summary") or ", ".join(f"{label}={value}" for label, value in about.items())
        title = f"{alert.labels['severity']}: {name}" if "severity" in alert.labels else name
        title += "" if alert.state == "firing" else f" ({alert.state})"
        rows.append(
            (alert.state != "firing", Row(title, alert.labels, None, text, state, age_s=answers.at - alert.active_at))
        )
    order = [State.BAD, State.WARN, State.OK, State.NONE]
    rows.sort(key=lambda alarm: (alarm[0], order.index(alarm[1].state), alarm[1].name))
    limit = int(options.get("maxItems") or 20)
    return tuple(row for _, row in rows[:limit])


def _picked(matchers: str, labels: Mapping[str, str]) -> bool:
    return all(test(labels.get(label, "")) for label, test in parse_matchers(matchers))
