"""summary.html: one page over the runs of a session, with a link to each report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tiercli.drills.record.history import Record
from tiercli.drills.record.result import ExpectationResult, Outcome, Result
from tiercli.drills.record.run_folder import REPORT
from tiercli.drills.report.page import page_template

SUMMARY = "summary.html"


@dataclass(frozen=True, slots=True)
class Row:
    """One expected alert of one drill; of a drill that expects none, the drill."""

    drill: str
    link: str
    outcome: str
    alert: str
    notified: str
    detected: str
    floor: str
    factor: str
    took: str


def render_summary(records: Sequence[Record]) -> str:
    """The page over `records`, whose folders lie beside it. There is at least one."""
    results = [record.result for record in records]
    passed = sum(result.outcome is Outcome.PASSED for result in results)
    not_passed = [result for result in results if result.outcome is not Outcome.PASSED]
    outcome = Outcome.PASSED
    if not_passed:
        failed = any(result.outcome is Outcome.FAILED for result in not_passed)
        outcome = Outcome.FAILED if failed else Outcome.INCONCLUSIVE
    words = {
        Outcome.PASSED: "Every alarm that was drilled fired in time, reached the right people, and no other did.",
        Outcome.FAILED: "Some alarms would not do their work.",
        Outcome.INCONCLUSIVE: "Some drills proved nothing either way: the environment failed, not the alarms.",
    }
    return page_template("summary.html.j2").render(
        records=records,
        passed=passed,
        outcome=outcome.value,
        words=words[outcome],
        missing=[f"{result.drill}: {result.outcome.value}" for result in not_passed],
        rows=[row for record in records for row in _rows(record)],
        not_passed=not_passed,
        began=min(result.started_at for result in results),
        ended=max(result.ended_at for result in results),
    )


def _rows(record: Record) -> Iterator[Row]:
    result = record.result
    link = f"{quote(record.folder.name)}/{REPORT}"
    common = (f"×{result.factor:g}", f"{result.ended_at - result.started_at:.0f} s")
    if not result.expectations:
        yield Row(result.drill, link, result.outcome.value, "silence", "nobody", "", "", *common)
    for number, expectation in enumerate(result.expectations):
        seconds, floor = (
            estate_time(None if value is None else value * result.factor)
            for value in (expectation.detection.time_to_detect_s, expectation.detection.floor_s)
        )
        notified = expectation.receiver if expectation.detection.notified_s is not None else "nobody"
        yield Row(
            result.drill,
            link if number == 0 else "",
            outcome_of(result, expectation).value,
            expectation.alert,
            notified,
            seconds,
            floor,
            *(common if number == 0 else ("", "")),
        )


def outcome_of(result: Result, expectation: ExpectationResult) -> Outcome:
    """What came of an expected alert: its own outcome, or its drill's, where that proves less."""
    return result.outcome if expectation.outcome is Outcome.PASSED else expectation.outcome


def estate_time(seconds: float | None) -> str:
    """A duration of simulated time as people say it; nothing where there is none."""
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
