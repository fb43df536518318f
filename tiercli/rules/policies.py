"""Severity, owner and `for` of an alarm where they differ by label, with one alert rule for all.

An alarm about a provider or an alias belongs to its owner, unless the catalog sets an owner for the alarm. What differs is
recorded as constants and joined into the alert's labels, so the number of alert rules does not grow with the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tiercli.catalog.model import AlarmSettings, Catalog, Override
from tiercli.conventions import HEARTBEAT, OWNER_LABEL, SEVERITY_LABEL, policy_series
from tiercli.durations import format_duration, parse_duration
from tiercli.rules.alarm import Alarm
from tiercli.rules.thresholds import covers, joined, label_sets, number, overrides_of
from tiercli.signals.promql import quote
from tiercli.signals.rule import Rule, recording_rule
from tiercli.signals.timing import Timing

_CARRIED = (SEVERITY_LABEL, OWNER_LABEL)
# Suffixes of the series that record how much longer to wait, and when the condition began.
_WAIT, _SINCE = "wait_seconds", "since"


@dataclass(frozen=True, slots=True)
class Policy:
    """Severity, owner and `for` (configured seconds) of the alerts with certain labels."""

    severity: str
    owner: str
    for_s: float


class Policies:
    """The policies of one alarm in a catalog. Durations are configured time."""

    def __init__(self, catalog: Catalog, alarm: Alarm, timing: Timing) -> None:
        self._alarm = alarm
        self._timing = timing
        own = alarm.for_
        self._default = Policy(alarm.severity, alarm.owner, parse_duration(own))
        implicit = () if _owner_is_set(catalog, alarm) else tuple(_of_owners(catalog, alarm))
        overrides = _merged((*overrides_of(catalog, alarm.alarm), *implicit))
        self._who = [override for override in overrides if override.severity is not None or override.owner is not None]
        self._wait = [override for override in overrides if override.for_ is not None]

    @property
    def carried(self) -> tuple[str, ...]:
        """The labels that the expression carries, because they differ between alerts."""
        return _CARRIED if self._who else ()

    @property
    def for_(self) -> str:
        """The rule's own `for`: the shortest of all. The expression makes the others wait longer."""
        return format_duration(min(self._waits_s(), default=0)) if self._wait else self._alarm.for_

    @property
    def longest_s(self) -> float:
        """The longest `for` of all, configured seconds."""
        return max(self._waits_s())

    def of(self, labels: Mapping[str, str]) -> Policy:
        """The policy of alerts with these labels."""
        who = max((override for override in self._who if covers(override, labels)), key=_specific, default=None)
        wait = max((override for override in self._wait if covers(override, labels)), key=_specific, default=None)
        policy = self._policy(who) if who is not None else self._default
        for_s = self._default.for_s if wait is None or wait.for_ is None else self._configured_s(wait.for_)
        return Policy(policy.severity, policy.owner, for_s)

    def destinations(self) -> list[tuple[str, str]]:
        """Every (severity, owner) that alerts of this alarm can have, the default first."""
        policies = [self._default, *(self._policy(override) for override in self._who)]
        return list(dict.fromkeys((policy.severity, policy.owner) for policy in policies))

    def expr(self) -> str:
        """The alarm's expression, with what differs joined into its labels."""
        expr = self._waiting(self._alarm.expr)
        if not self._who:
            return expr
        choices = []
        for labels in label_sets(self._who):
            on, series = joined(policy_series(self._alarm.alarm), labels, self._alarm.identity)
            choices.append(f"(({expr}) * {on} group_left ({', '.join(_CARRIED)}) {series})")
        plain = f"({expr})"
        for label, value in zip(_CARRIED, (self._default.severity, self._default.owner), strict=True):
            plain = f'label_replace({plain}, {quote(label)}, {quote(value)}, "", "")'
        identity = ", ".join(self._alarm.identity)
        return f" or on ({identity}) ".join([*choices, plain])

    def records(self) -> Iterator[Rule]:
        """The constants that `expr` joins."""
        for override in self._who:
            policy = self._policy(override)
            labels = {**override.labels(), SEVERITY_LABEL: policy.severity, OWNER_LABEL: policy.owner}
            yield recording_rule(policy_series(self._alarm.alarm), "vector(1)", labels)
        for override in self._wait:
            if override.for_ is not None:
                extra = self._configured_s(override.for_) - min(self._waits_s())
                series = policy_series(self._alarm.alarm, _WAIT)
                yield recording_rule(series, f"vector({number(extra)})", override.labels())

    def since(self) -> Rule | None:
        """When the condition began to hold, as Unix seconds: it reads itself, as it was at the last evaluation."""
        if not self._wait:
            return None
        name = policy_series(self._alarm.alarm, _SINCE)
        on = f"on ({', '.join(self._alarm.identity)})"
        expr = self._alarm.expr
        return recording_rule(name, f"({name} and {on} ({expr})) or {on} (0 * ({expr}) + time())")

    def _waiting(self, expr: str) -> str:
        if not self._wait:
            return expr
        since = policy_series(self._alarm.alarm, _SINCE)
        on = f"on ({', '.join(self._alarm.identity)})"
        choices = []
        for labels in label_sets(self._wait):
            matching, series = joined(policy_series(self._alarm.alarm, _WAIT), labels, self._alarm.identity)
            choices.append(f"(0 * {since} + {matching} group_left () {series})")
        rest = self._default.for_s - min(self._waits_s())
        choices.append(f"(0 * {since} + {number(rest)})")
        return f"({expr}) unless {on} ((time() - {since}) < {on} ({' or '.join(choices)}))"

    def _waits_s(self) -> list[float]:
        return [
            self._default.for_s,
            *(self._configured_s(override.for_) for override in self._wait if override.for_ is not None),
        ]

    def _configured_s(self, text: str) -> float:
        return self._timing.compress(parse_duration(text))

    def _policy(self, override: Override) -> Policy:
        """A severity or owner that an override does not set comes from the next less specific one that does."""
        wider = sorted((other for other in self._who if covers(other, override.labels())), key=_specific, reverse=True)
        severity = next((other.severity for other in wider if other.severity is not None), self._default.severity)
        owner = next((other.owner for other in wider if other.owner is not None), self._default.owner)
        return Policy(severity, owner, self._default.for_s)


def series_of_policies(alarm: Alarm) -> dict[str, frozenset[str]]:
    """The labels of the series that policies of an alarm may bring."""
    identity = frozenset(alarm.identity)
    return {
        policy_series(alarm.alarm): identity | set(_CARRIED),
        policy_series(alarm.alarm, _WAIT): identity,
        policy_series(alarm.alarm, _SINCE): identity,
    }


def _merged(overrides: Iterable[Override]) -> list[Override]:
    """One override for each set of labels; the settings of an earlier one win."""
    merged: dict[tuple[tuple[str, str], ...], Override] = {}
    for override in overrides:
        key = tuple(override.labels().items())
        first = merged.get(key)
        if first is not None:
            first_settings = {
                name: value for name, value in first if value is not None and name in ("severity", "owner", "for_")
            }
            override = override.model_copy(update=first_settings)
        merged[key] = override
    return list(merged.values())


def _specific(override: Override) -> int:
    return len(override.labels())


def _owner_is_set(catalog: Catalog, alarm: Alarm) -> bool:
    return alarm.severity == HEARTBEAT or catalog.alarms.get(alarm.alarm, AlarmSettings()).owner is not None


def _of_owners(catalog: Catalog, alarm: Alarm) -> Iterator[Override]:
    """An alarm about an alias or a provider belongs to its owner, unless that is the alarm's own owner anyway."""
    stated = {
        tuple(override.labels().items())
        for override in overrides_of(catalog, alarm.alarm)
        if override.owner is not None
    }
    label = next((label for label in ("alias", "provider") if label in alarm.identity), None)
    if label is None or "tenant" in alarm.identity:
        return
    owners = catalog.aliases if label == "alias" else catalog.providers
    for name, entry in owners.items():
        override = Override.model_validate({label: name, "owner": entry.owner})
        if entry.owner != alarm.owner and tuple(override.labels().items()) not in stated:
            yield override
