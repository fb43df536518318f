"""Which alarms are blind on a running Prometheus: inputs without data, rules not loaded as generated, retention too short.

An alarm sees when every series that its expression needs has data. What it needs follows from the expression: either side of
`a or b` is enough, and the right side of `unless` may be missing. A series that counts rare events is quiet, not missing,
as long as its targets expose the metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import promql_parser as p

from tiercli.durations import parse_duration
from tiercli.signals.expressions import all_read, reads_of, series_read
from tiercli.signals.parsed import parse
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.retention import DEFAULT_RETENTION_S, needed_s, reach_s
from tiercli.signals.rule import Rule

State = Literal["sees", "quiet", "blind"]


@dataclass(frozen=True, slots=True)
class PrometheusState:
    """`series`: names that have data; `exposed`: names that the targets expose, with data or not; `unlike`: by rule, how it
    differs from the generated one; `failing`: by rule, its last error; `alertmanagers`: how many are connected."""

    series: frozenset[str]
    exposed: frozenset[str]
    retention_s: float = DEFAULT_RETENTION_S
    unlike: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)
    alertmanagers: int = 1


@dataclass(frozen=True, slots=True)
class Visibility:
    """Whether one alarm could fire: why it is blind, and which of its inputs are quiet."""

    alarm: str
    state: State
    blind: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()


def judge_alarms(rules: Sequence[Rule], prometheus: PrometheusState) -> list[Visibility]:
    """The visibility of each alert of `rules`, in their order."""
    records = [rule for rule in rules if rule.kind == "record"]
    reads = reads_of(records)
    reaches: dict[str, float] = {}
    for record in records:
        reaches[record.name] = max(reaches.get(record.name, 0.0), reach_s(record.expr))
    return [_judge(rule, reads, reaches, prometheus) for rule in rules if rule.kind == "alert"]


def _judge(
    rule: Rule, reads: Mapping[str, set[str]], reaches: Mapping[str, float], prometheus: PrometheusState
) -> Visibility:
    quiet: dict[str, None] = {}
    blind = list(_missing(rule.expr, reads, prometheus, quiet))
    inputs = all_read(series_read(rule.expr), reads)
    blind += prometheus.unlike.get(rule.name, ())
    for name in (rule.name, *sorted(inputs)):
        if name in prometheus.failing:
            blind.append(f"{name} fails to evaluate: {prometheus.failing[name]}")
        if name != rule.name:
            blind += [f"{name} {difference}" for difference in prometheus.unlike.get(name, ())]
    kept_s = needed_s((reach_s(rule.expr), *(reaches.get(name, 0.0) for name in inputs)))
    if kept_s > prometheus.retention_s:
        kept = f"{prometheus.retention_s / 86_400:.3g}"
        blind.append(f"it looks {kept_s / 86_400:.3g} days back, and samples are kept for {kept}")
    if not prometheus.alertmanagers:
        blind.append("no Alertmanager is connected")
    state: State = "blind" if blind else "quiet" if quiet else "sees"
    return Visibility(rule.name, state, tuple(dict.fromkeys(blind)), tuple(quiet))


def series_needed(rules: Sequence[Rule]) -> list[str]:
    """Every series name that the rules read."""
    return sorted({name for rule in rules for name in series_read(rule.expr)})


def _missing(
    expr: str, reads: Mapping[str, set[str]], prometheus: PrometheusState, quiet: dict[str, None]
) -> Iterator[str]:
    """Why inputs of an expression have no data; `quiet` gains those that may have none."""
    for name in required_series(parse(expr), prometheus.series):
        if name in prometheus.series or name == "ALERTS":
            continue
        rare = name in RECORDED_BY_NAME and RECORDED_BY_NAME[name].rare
        absent = [series for series in sorted(_raw(name, reads)) if series not in prometheus.series]
        unexposed = [series for series in absent if series not in prometheus.exposed]
        if rare and not unexposed:
            quiet[f"{name}: no such event has happened yet ({', '.join(absent) or name} is exposed)"] = None
        elif rare:
            # Many clients expose a counter only with its first event, so nothing can prove that it would be seen.
            names = ", ".join(unexposed)
            quiet[f"{name}: no target exposes {names} yet, so nothing proves that an event would be seen"] = None
        elif name in reads:
            why = f"no series of {', '.join(absent)}" if absent else "although its inputs have data"
            yield f"{name} has no data: {why}"
        else:
            yield f"{name} has no data"


def required_series(node: Any, with_data: frozenset[str]) -> Iterator[str]:
    """The series without which a part of an expression yields nothing, as far as its form tells; of an `or`, those of a side that has data."""
    if isinstance(node, p.VectorSelector):
        yield from (node.name,) if node.name else ()
    elif isinstance(node, p.MatrixSelector):
        yield from required_series(node.vector_selector, with_data)
    elif isinstance(node, p.Call):
        if not node.func.name.startswith("absent"):
            for argument in node.args:
                yield from required_series(argument, with_data)
    elif isinstance(node, p.BinaryExpr):
        left, right = list(required_series(node.lhs, with_data)), list(required_series(node.rhs, with_data))
        operator = str(node.op)
        if operator == "or":
            chosen = left if with_data.issuperset(left) else right if with_data.issuperset(right) else left
            yield from chosen
        elif operator == "unless":
            yield from left
        else:
            yield from (*left, *right)
    elif hasattr(node, "expr"):
        yield from required_series(node.expr, with_data)


def _raw(name: str, reads: Mapping[str, set[str]]) -> set[str]:
    """The exposed series that a recorded series comes from; an exposed series itself."""
    if name not in reads:
        return {name}
    return {
        series for series in all_read([name], reads) if series not in reads and not series.startswith(("ALERTS", "up"))
    }


def retention_s(setting: str) -> float:
    """Seconds that Prometheus keeps samples for, from its setting: "15d", "45d or 10GiB"."""
    for part in setting.split(" or "):
        try:
            seconds = parse_duration(part.strip())
        except ValueError:
            continue  # a size does not limit the time
        return seconds or DEFAULT_RETENTION_S
    return DEFAULT_RETENTION_S
