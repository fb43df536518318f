"""A verdict as Markdown, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tiercli.drills.record.result import Outcome, Result
from tiercli.drills.report.comparison import Change
from tiercli.drills.report.summary import estate_time, outcome_of

_MARK = {Outcome.PASSED: "✅", Outcome.FAILED: "❌", Outcome.INCONCLUSIVE: "⚠️"}


def results_markdown(results: Sequence[Result]) -> str:
    """A table of drills, and under it what did not pass."""
    passed = sum(result.outcome is Outcome.PASSED for result in results)
    lines = [
        f"### Fire drills: {passed} of {len(results)} passed",
        "",
        "| drill | alarm | outcome | time to detect | floor | notified |",
        "|---|---|---|--:|--:|---|",
        *(row for result in results for row in _rows(result)),
    ]
    for result in results:
        if result.outcome is not Outcome.PASSED:
            lines += ["", f"**{_text(result.drill)}** {result.outcome.value}:", ""]
            lines += [f"- {_text(reason)}" for reason in result.reasons]
    return "\n".join(lines) + "\n"


def changes_markdown(changes: Sequence[Change]) -> str:
    """A table of what changed between two records."""
    lines = ["| drill | alarm | before | after | time to detect | |", "|---|---|---|---|--:|---|"]
    for change in changes:
        slower = "" if change.slower_s is None else f"{change.slower_s:+.0f} s"
        took = f"{_seconds(change.before_s)} → {_seconds(change.after_s)}"
        lines.append(
            f"| {_text(change.drill)} | {change.alert or 'silence'} | {_outcome(change.before)} | {_outcome(change.after)} | {took} | {slower} |"
        )
    return "\n".join(lines) + "\n"


def _rows(result: Result) -> Iterator[str]:
    drill = _text(result.drill)
    if not result.expectations:
        yield f"| {drill} | silence | {_outcome(result.outcome)} | | | |"
    for expectation in result.expectations:
        seconds = expectation.detection.time_to_detect_s
        took = _seconds(None if seconds is None else seconds * result.factor)
        floor = expectation.detection.floor_s
        least = _seconds(None if floor is None else floor * result.factor)
        notified = _text(expectation.receiver) if expectation.detection.notified_s is not None else "nobody"
        yield f"| {drill} | {expectation.alert} | {_outcome(outcome_of(result, expectation))} | {took} | {least} | {notified} |"


def _outcome(outcome: Outcome | None) -> str:
    return "—" if outcome is None else f"{_MARK[outcome]} {outcome.value}"


def _seconds(value: float | None) -> str:
    return estate_time(value) or "—"


def _text(value: str) -> str:
    """Free text in a table's cell."""
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\").replace("|", "\\|")
    return " ".join(escaped.replace("`", "\\`").replace("*", "\\*").replace("_", "\\_").split())
