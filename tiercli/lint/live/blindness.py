"""Which alarms are blind on a running Prometheus: without data, not loaded as generated, or without the past they need.

An alarm sees when every series that its expression needs is there. What a series is needed for follows from the expression:
of `a or b` one is enough, what stands right of `unless` may be missing. A series that counts what may never happen is quiet,
not missing, unless its targets do not expose the metric at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import promql_parser as p

from tiercli.durations import parse_duration
from tiercli.lint.parsed import parse, walk
from tiercli.signals.expressions import series_read
from tiercli.signals.recorded import RECORDED_BY_NAME

State = Literal["sees", "quiet", "blind"]
# Prometheus' own retention when nothing is said.
DEFAULT_RETENTION_S = 15 * 86_400
# A month to date needs the whole month, and the time that it takes somebody to look at it (dashboards.md).
MONTH_S = 28 * 86_400
MONTH_NEEDS_S = 45 * 86_400


@dataclass(frozen=True, slots=True)
class GeneratedRule:
    """A rule as it should be loaded."""

    kind: str
    name: str
    expr: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a Prometheus shows. `series`: names that have data; `exposed`: names that its targets know, with data or not;
    `unlike`: by rule, how it differs from the generated one; `failing`: by rule, its last error."""

    series: frozenset[str]
    exposed: frozenset[str]
    retention_s: float = DEFAULT_RETENTION_S
    unlike: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)
    alertmanagers: int = 1


@dataclass(frozen=True, slots=True)
class Sight:
    """What becomes of one alarm there: why it is blind, and what is quiet."""

    alarm: str
    state: State
    blind: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()


def judge_alarms(rules: Sequence[GeneratedRule], seen: Seen) -> list[Sight]:
    """Each alert of `rules`, in their order."""
    records: dict[str, list[str]] = {}
    for rule in rules:
        if rule.kind == "record":
            records.setdefault(rule.name, []).append(rule.expr)
    sights = []
    for rule in rules:
        if rule.kind != "alert":
            continue
        quiet: dict[str, None] = {}
        blind = list(dict.fromkeys(_missing(rule.expr, records, seen, quiet)))
        read = _all_read(rule.expr, records)
        blind += seen.unlike.get(rule.name, ())
        for name in (rule.name, *sorted(read)):
            if name in seen.failing:
                blind.append(f"{name} fails to evaluate: {seen.failing[name]}")
            if name != rule.name:
                blind += [f"{name} {said}" for said in seen.unlike.get(name, ())]
        needed_s = max((_reach_s(expr) for name in read for expr in records.get(name, ())), default=0.0)
        needed_s = max(needed_s, _reach_s(rule.expr))
        needed_s = MONTH_NEEDS_S if needed_s >= MONTH_S else needed_s
        if needed_s > seen.retention_s:
            blind.append(
                f"it looks {needed_s / 86_400:.3g} days back, and samples are kept for {seen.retention_s / 86_400:.3g}"
            )
        if not seen.alertmanagers:
            blind.append("no Alertmanager is connected")
        state: State = "blind" if blind else "quiet" if quiet else "sees"
        sights.append(Sight(rule.name, state, tuple(dict.fromkeys(blind)), tuple(quiet)))
    return sights


def names_to_ask(rules: Sequence[GeneratedRule]) -> list[str]:
    """Every series name that the rules read, to be asked for."""
    return sorted({name for rule in rules for name in series_read(rule.expr)})


def _missing(expr: str, records: Mapping[str, list[str]], seen: Seen, quiet: dict[str, None]) -> Iterator[str]:
    for name in _needed(parse(expr), seen.series):
        if name in seen.series or name == "ALERTS":
            continue
        rare = name in RECORDED_BY_NAME and RECORDED_BY_NAME[name].rare
        raw = sorted(_raw(name, records))
        absent = [one for one in raw if one not in seen.series]
        unknown = [one for one in absent if one not in seen.exposed]
        if rare and not unknown:
            quiet[f"{name}: nothing of its kind has happened ({', '.join(absent) or name} is exposed)"] = None
        elif rare:
            # Many clients expose a counter only with its first event: that it would be seen cannot be shown.
            quiet[f"{name}: no target exposes {', '.join(unknown)} yet; nothing shows that it would be seen"] = None
        elif name in records:
            why = f"no series of {', '.join(absent)}" if absent else "though what it reads is there"
            yield f"{name} has no data: {why}"
        else:
            yield f"{name} has no data"


def _needed(node: Any, there: Collection[str]) -> Iterator[str]:
    """The series without which a part of an expression yields nothing, as far as its form tells."""
    if isinstance(node, p.VectorSelector):
        yield from (node.name,) if node.name else ()
    elif isinstance(node, p.MatrixSelector):
        yield from _needed(node.vector_selector, there)
    elif isinstance(node, p.Call):
        if not node.func.name.startswith("absent"):
            for argument in node.args:
                yield from _needed(argument, there)
    elif isinstance(node, p.BinaryExpr):
        left, right = list(_needed(node.lhs, there)), list(_needed(node.rhs, there))
        operator = str(node.op)
        if operator == "or":
            chosen = left if all(name in there for name in left) else right if all(n in there for n in right) else left
            yield from chosen
        elif operator == "unless":
            yield from left
        else:
            yield from (*left, *right)
    elif hasattr(node, "expr"):
        yield from _needed(node.expr, there)


def _raw(name: str, records: Mapping[str, list[str]]) -> set[str]:
    """The series that targets expose and that a recorded one comes from."""
    if name not in records:
        return {name}
    return {one for one in _all_read(name, records) if one not in records and not one.startswith(("ALERTS", "up"))}


@lru_cache(maxsize=4096)
def _reach_s(expr: str) -> float:
    """How far an expression looks back, seconds: its longest range and the offset at it."""
    reach = 0.0
    for node, _ in walk(parse(expr)):
        selectors = node if isinstance(node, p.MatrixSelector) else None
        selector = node.vector_selector if selectors is not None else node
        if isinstance(selector, p.VectorSelector):
            span_s = selectors.range.total_seconds() if selectors is not None else 0.0
            offset_s = selector.offset.total_seconds() if selector.offset is not None else 0.0
            reach = max(reach, span_s + max(0.0, offset_s))
    return reach


def _all_read(expr: str, records: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [expr]
    while waiting:
        for name in series_read(waiting.pop()) - found:
            found.add(name)
            waiting += records.get(name, [])
    return found


def retention_s(said: str) -> float:
    """Seconds that Prometheus keeps samples for, from what it says: "15d", "45d or 10GiB"."""
    for part in said.split(" or "):
        try:
            seconds = parse_duration(part.strip())
        except ValueError:
            continue  # a size, which bounds nothing that can be counted in time
        return seconds or DEFAULT_RETENTION_S
    return DEFAULT_RETENTION_S
