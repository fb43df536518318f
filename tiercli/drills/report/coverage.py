"""Which alarms are proven: by unit tests, by which drills, and what came of those when they last ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tiercli.conventions import WATCHDOG
from tiercli.drills.record.history import Record, last_of_each
from tiercli.drills.record.result import Outcome
from tiercli.drills.spec.cast import Cast
from tiercli.rules.alarm import Alarm


@dataclass(frozen=True, slots=True)
class Proof:
    """A drill that is proof for an alarm, and its last run: what came of it, when, and how long it took to detect, real seconds
    from the signal's departure, with the floor. None where it never ran, or did not fire."""

    drill: str
    outcome: Outcome | None = None
    at: float | None = None
    factor: float | None = None
    detected_s: float | None = None
    floor_s: float | None = None
    within_tolerance: bool | None = None
    changed: bool = False  # the alarm's rule is another than the one that was drilled
    too_old: bool = False
    not_applicable: str | None = None  # why the drill does not apply to the catalog


@dataclass(frozen=True, slots=True)
class Covered:
    """One alarm."""

    alarm: str
    severity: str
    unit_tests: int
    proofs: tuple[Proof, ...]

    @property
    def proven(self) -> bool:
        """Whether unit tests hold it, and a drill saw it fire, be delivered and resolve when it last ran: with the rule that it has
        now, and not too long ago."""
        return bool(self.unit_tests) and any(
            proof.outcome is Outcome.PASSED and not proof.changed and not proof.too_old for proof in self.proofs
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a proof must be of: the estate, its environment, the fingerprint of each alarm's rule; begun at `not_before` (Unix seconds) at
    the earliest."""

    estate: str
    env: str
    rules: Mapping[str, str]
    not_before: float = 0.0


def alarm_coverage(
    alarms: Iterable[Alarm], drills: Iterable[Cast], records: Iterable[Record], wanted: Wanted
) -> list[Covered]:
    """Every alarm but the Watchdog, which every drill judges, with the drills that claim to prove it. Runs of another estate or
    environment do not count."""
    casts = list(drills)
    own = [record for record in records if (record.result.estate, record.result.env) == (wanted.estate, wanted.env)]
    last = last_of_each(own)
    return [
        Covered(
            alarm.alarm,
            alarm.severity,
            len(alarm.cases) + len(alarm.counters),
            tuple(_proofs(alarm.alarm, casts, last, wanted)),
        )
        for alarm in alarms
        if alarm.alarm != WATCHDOG
    ]


def _proofs(alarm: str, casts: list[Cast], last: Mapping[str, Record], wanted: Wanted) -> Iterator[Proof]:
    for cast in casts:
        spec = cast.spec
        if alarm not in spec.alarms:
            continue
        if cast.not_applicable is not None:
            yield Proof(spec.name, not_applicable=cast.not_applicable)
            continue
        record = last.get(spec.name)
        if record is None:
            yield Proof(spec.name)
            continue
        result = record.result
        expectation = next((expected for expected in result.expectations if expected.alert == alarm), None)
        # A drill that failed for another reason has still shown nothing that can be relied on.
        outcome = result.outcome if expectation is not None else Outcome.INCONCLUSIVE
        if expectation is None:
            yield Proof(spec.name, outcome, result.started_at, result.factor)
            continue
        detection, above = expectation.detection, expectation.detection.above_floor_s
        within = None if above is None or detection.tolerance_s is None else above <= detection.tolerance_s
        yield Proof(
            spec.name,
            outcome,
            result.started_at,
            result.factor,
            expectation.detection.time_to_detect_s,
            detection.floor_s,
            within,
            changed=result.rules.get(alarm) != wanted.rules.get(alarm),
            too_old=result.started_at < wanted.not_before,
        )
