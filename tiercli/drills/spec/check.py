"""Whether a drill can be run on a catalog: its alarms, targets and receivers exist, its times can all hold.

All problems at once, each at its place in the drill's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.drills.spec.mix import check_mix
from tiercli.drills.spec.model import DrillSpec, Expectation
from tiercli.durations import parse_duration
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.faults.kinds.check import Targets, check_fault
from tiercli.rules.alarm import Alarm, Inhibits

Locate = Callable[[tuple[str | int, ...]], Location]


def check_spec(spec: DrillSpec, catalog: Catalog, alarms: Iterable[Alarm], locate: Locate) -> list[Problem]:
    """Every problem of `spec` on `catalog`, whose rules hold `alarms`; empty when it can be run."""
    by_name = {alarm.alarm: alarm for alarm in alarms}
    known = tuple(by_name)
    return [
        *_hidden(spec, by_name, locate),
        *_names(spec, catalog, known, locate),
        *_faults(spec, catalog, locate),
        *_times(spec, locate),
        *check_mix(spec.load, catalog, locate),
        *_shape(spec, locate),
    ]


def _names(spec: DrillSpec, catalog: Catalog, alarms: tuple[str, ...], locate: Locate) -> Iterator[Problem]:
    if spec.owner not in catalog.owners:
        yield unknown_name("owner", spec.owner, catalog.owners, locate(("owner",)))
    for position, alarm in enumerate(spec.alarms):
        if alarm not in alarms:
            yield unknown_name("alarm", alarm, alarms, locate(("alarms", position)))
        elif not any(expected.alert == alarm for expected in spec.expect):
            yield Problem(locate(("alarms", position)), f"the drill claims to prove {alarm} and expects nothing of it")
    for position, expected in enumerate(spec.expect):
        if expected.alert not in alarms:
            yield unknown_name("alarm", expected.alert, alarms, locate(("expect", position, "alert")))
        if expected.receiver is not None and expected.receiver not in catalog.receivers:
            yield unknown_name(
                "receiver", expected.receiver, catalog.receivers, locate(("expect", position, "receiver"))
            )
    for position, allowed in enumerate(spec.allow):
        if allowed.alert not in alarms:
            yield unknown_name("alarm", allowed.alert, alarms, locate(("allow", position, "alert")))


def _hidden(spec: DrillSpec, alarms: Mapping[str, Alarm], locate: Locate) -> Iterator[Problem]:
    """What is expected to reach somebody, and would be held back by what the drill itself allows or expects."""
    for position, expected in enumerate(spec.expect):
        place: tuple[str | int, ...] = ("expect", position, "alert")
        for allowed in spec.allow:
            same = allowed.alert == expected.alert and _matches(allowed.labels, expected.labels)
            if same and (allowed.state == "suppressed" or allowed.labels == expected.labels):
                message = f"{expected.alert} is expected, and the drill allows it too: it could not fail"
                yield Problem(locate(place), message, "one of the two")
        if expected.receiver is None or expected.alert not in alarms:
            continue
        for other in spec.expect:
            source = alarms.get(other.alert)
            if other is expected or source is None:
                continue
            if any(_holds_back(inhibits, other, expected, alarms) for inhibits in source.inhibitions):
                message = f"{expected.alert} is expected to reach {expected.receiver}, and {other.alert}, expected too, inhibits it"
                yield Problem(locate(place), message, "`allow` with state suppressed for what is inhibited")


def _holds_back(inhibits: Inhibits, other: Expectation, expected: Expectation, alarms: Mapping[str, Alarm]) -> bool:
    names = expected.alert in inhibits.alarms or alarms[expected.alert].source in inhibits.sources
    when = all(other.labels.get(label, "") == value for label, value in inhibits.when.items())
    return names and when and all(other.labels.get(label) == expected.labels.get(label) for label in inhibits.equal)


def _faults(spec: DrillSpec, catalog: Catalog, locate: Locate) -> Iterator[Problem]:
    targets = Targets(catalog)
    for position, use in enumerate(spec.faults):
        place: tuple[str | int, ...] = ("faults", position)
        try:
            kind, _ = check_fault(use.fault, use.target, use.settings, locate(place))
        except InvalidInput as error:
            yield from error.problems
            continue
        at = (*place, "target")
        yield from targets.problems(kind, use.target, lambda *label, at=at: locate((*at, *label)))


def _matches(wanted: Mapping[str, str], row: Mapping[str, str]) -> bool:
    return all(row.get(label) == value for label, value in wanted.items())


def _times(spec: DrillSpec, locate: Locate) -> Iterator[Problem]:
    phases = spec.phases
    if parse_duration(phases.steady) <= 0:
        yield Problem(
            locate(("phases", "steady")), "a drill without a steady phase cannot show that the alarm was quiet"
        )
    if spec.faults and (phases.fault is None or phases.recovery is None):
        yield Problem(locate(("phases",)), "a drill with faults needs the phases fault and recovery")
        return
    if not spec.faults and spec.expect:
        yield Problem(locate(("expect",)), "alerts are expected, and no fault is there to raise them")
    if not spec.faults and (phases.fault or phases.recovery):
        yield Problem(locate(("phases",)), "a drill without faults has only the phase steady")
        return
    fault_s, recovery_s = parse_duration(phases.fault or "0"), parse_duration(phases.recovery or "0")
    for position, use in enumerate(spec.faults):
        begin, end = parse_duration(use.from_), parse_duration(use.until) if use.until else fault_s
        if not 0 <= begin < end <= fault_s:
            message = f"from {use.from_} until {use.until or phases.fault} does not lie within the fault phase"
            yield Problem(locate(("faults", position)), message, f"0s to {phases.fault}, from before until")
    for position, expected in enumerate(spec.expect):
        place: tuple[str | int, ...] = ("expect", position)
        firing_s = parse_duration(expected.firing_within)
        if firing_s > fault_s:
            message = f"firing_within {expected.firing_within} is longer than the fault phase"
            yield Problem(locate((*place, "firing_within")), message, f"at most {phases.fault}")
        if expected.notified_within is not None and parse_duration(expected.notified_within) < firing_s:
            message = (
                f"notified_within {expected.notified_within} is shorter than firing_within {expected.firing_within}"
            )
            yield Problem(locate((*place, "notified_within")), message, f"at least {expected.firing_within}")
        if expected.resolved_within is not None and parse_duration(expected.resolved_within) > recovery_s:
            message = f"resolved_within {expected.resolved_within} is longer than the recovery phase"
            yield Problem(locate((*place, "resolved_within")), message, f"at most {phases.recovery}")


_SHAPE_NEEDS = {
    "constant": (),
    "ramp": ("peak_per_second", "ramp_over"),
    "spike": ("peak_per_second", "spike_from", "spike_for"),
    "steps": ("steps",),
}


def _shape(spec: DrillSpec, locate: Locate) -> Iterator[Problem]:
    needs = _SHAPE_NEEDS[spec.load.shape]
    for key in ("peak_per_second", "ramp_over", "spike_from", "spike_for", "steps"):
        given = bool(getattr(spec.load, key))
        if key in needs and not given:
            yield Problem(locate(("load",)), f"a load of shape {spec.load.shape} needs {key}")
        elif given and key not in needs:
            yield Problem(locate(("load", key)), f"{key} means nothing for a load of shape {spec.load.shape}")
