"""Two records of drills, side by side: what came of each drill, and how long each alarm took, then and now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tiercli.drills.record.history import Record
from tiercli.drills.record.result import ExpectationResult, Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """One expected alert of one drill: what came of it before and after, and the time to detect in estate seconds, which
    runs of different compression have in common. None where a side does not have it."""

    drill: str
    alert: str
    before: Outcome | None
    after: Outcome | None
    before_s: float | None
    after_s: float | None

    @property
    def worse(self) -> bool:
        """Whether it was proven before and is not proven now."""
        return self.before is Outcome.PASSED and self.after is not Outcome.PASSED

    @property
    def slower_s(self) -> float | None:
        """How much longer it takes to detect, estate seconds."""
        return None if self.before_s is None or self.after_s is None else self.after_s - self.before_s


def compare_records(before: Mapping[str, Record], after: Mapping[str, Record]) -> Iterator[Change]:
    """Every drill of either side, by name, with the alerts that it expected; one that expects none as itself."""
    for drill in sorted({*before, *after}):
        then, now = before.get(drill), after.get(drill)
        alerts = dict.fromkeys(
            expectation.alert
            for record in (then, now)
            if record is not None
            for expectation in record.result.expectations
        )
        for alert in alerts or {"": None}:
            yield Change(drill, alert, *_outcomes(alert, then, now), _seconds(alert, then), _seconds(alert, now))


def _outcomes(alert: str, then: Record | None, now: Record | None) -> tuple[Outcome | None, Outcome | None]:
    return _outcome(alert, then), _outcome(alert, now)


def _outcome(alert: str, record: Record | None) -> Outcome | None:
    if record is None:
        return None
    if record.result.outcome is Outcome.PASSED or not alert:
        return record.result.outcome
    expectation = _expectation(alert, record)
    return record.result.outcome if expectation is None else expectation.outcome


def _seconds(alert: str, record: Record | None) -> float | None:
    expectation = None if record is None else _expectation(alert, record)
    seconds = None if expectation is None else expectation.detection.time_to_detect_s
    return None if seconds is None or record is None else seconds * record.result.factor


def _expectation(alert: str, record: Record) -> ExpectationResult | None:
    return next((expectation for expectation in record.result.expectations if expectation.alert == alert), None)
