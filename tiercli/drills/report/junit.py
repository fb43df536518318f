"""junit.xml: a case a step, so that a CI shows what failed. Inconclusive is an error, not a failure."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from tiercli.drills.record.result import Outcome, Result, Step


def render_junit(result: Result) -> str:
    """The result as JUnit's XML."""
    cases = list(_cases(result))
    count = {outcome: sum(step.outcome is outcome for _, step in cases) for outcome in Outcome}
    suite = ElementTree.Element(
        "testsuite",
        name=f"tiercli.drill.{result.drill}",
        tests=str(len(cases)),
        failures=str(count[Outcome.FAILED]),
        errors=str(count[Outcome.INCONCLUSIVE]),
        time=f"{result.ended_at - result.started_at:.3f}",
    )
    for name, step in cases:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"tiercli.drill.{result.drill}", name=_printable(name)
        )
        if step.outcome is not Outcome.PASSED:
            kind = "failure" if step.outcome is Outcome.FAILED else "error"
            ElementTree.SubElement(case, kind, message=_printable(step.message))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _cases(result: Result) -> Iterator[tuple[str, Step]]:
    yield "verdict", Step(name="verdict", outcome=result.outcome, message="; ".join(result.reasons))
    for expectation in result.expectations:
        for step in expectation.steps:
            yield f"{expectation.alert}: {step.name}", step
    for step in result.evidence:
        yield step.name, step
    for other in result.unexpected:
        yield f"unexpected {other.alert}", Step(name=other.alert, outcome=Outcome.FAILED, message=other.message)


def _printable(text: str) -> str:
    """XML 1.0 has no place for control characters, not even escaped."""
    return "".join(char if char >= " " or char in "\t\n" else "�" for char in text)
