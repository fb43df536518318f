"""report.html: one file that opens offline, for a person who was not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import jinja2
from markupsafe import Markup

from tiercli.conventions import WATCHDOG
from tiercli.drills.judge.notifications import notifications
from tiercli.drills.judge.panels import panels_read
from tiercli.drills.record.events import (
    FaultApplied,
    LoadWindow,
    Notified,
    RunStarted,
    SpendBound,
    Timeline,
    Verification,
)
from tiercli.drills.record.result import Detection, Outcome, Result
from tiercli.drills.report.figure import build_figure
from tiercli.drills.report.svg import draw
from tiercli.resources import resource_folder

VERDICT_IN_WORDS = {
    Outcome.PASSED: "The right alarm fired, in time, reached the right people, and no other did.",
    Outcome.FAILED: "If this happened for real, the alarm would not do its work.",
    Outcome.INCONCLUSIVE: "Nothing was proven either way: the environment failed, not the alarm.",
}
QUIET_IN_WORDS = "Under ordinary load no alarm fired."


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the time to detect, for the bar: where it begins and how long it lasts, percent of the whole."""

    name: str
    seconds: float
    left: float
    width: float
    style: str


def page_template(name: str) -> jinja2.Template:
    """A template of templates/report/, with the style that its pages share. What goes into it is escaped."""
    folder = resource_folder("templates") / "report"
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["seconds"] = lambda value: "not reached" if value is None else f"{value:.1f} s"
    environment.filters["when"] = lambda value: datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    environment.globals["style"] = Markup((folder / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    return environment.from_string((folder / name).read_text(encoding="utf-8"))


def render_report(result: Result, timeline: Timeline) -> str:
    """The report of a run, as HTML."""
    figure = build_figure(result, timeline)
    run = timeline.first(RunStarted)
    verification = timeline.first(Verification)
    fault = timeline.first(FaultApplied)
    windows = list(timeline.of(LoadWindow))
    words = VERDICT_IN_WORDS[result.outcome]
    if result.outcome is Outcome.PASSED and not result.expectations:
        words = QUIET_IN_WORDS
    return page_template("report.html.j2").render(
        result=result,
        words=words,
        run=run,
        facts=verification.facts if verification else {},
        description=run.spec.get("description", "") if run else "",
        figure=Markup(draw(figure)) if figure else "",  # noqa: S704 - built and escaped by svg.py
        expectations=[
            (expectation, list(detection_parts(expectation.detection))) for expectation in result.expectations
        ],
        notifications=list(_notifications(timeline, fault)),
        panels=list(panels_read(timeline)),
        spend=timeline.first(SpendBound),
        answered=sum(window.succeeded for window in windows),
        marks={Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.INCONCLUSIVE: "?"},
        Outcome=Outcome,
    )


def detection_parts(detection: Detection) -> Iterator[Part]:
    """The time from the fault to the notification, cut into what each step took."""
    moments = [
        ("until the metrics change", detection.departed_s, "departs"),
        ("until the expression is true", detection.pending_s, "fills"),
        ("pending", detection.firing_s, "pends"),
        ("until Alertmanager has it", detection.alertmanager_s, "travels"),
        ("until the receiver is notified", detection.notified_s, "waits"),
    ]
    whole = max((at for _, at, _ in moments if at is not None), default=0.0)
    previous = 0.0
    for name, at, style in moments:
        if at is None or whole <= 0:
            continue
        length = max(0.0, at - previous)
        yield Part(name, length, 100 * previous / whole, 100 * length / whole, style)
        previous = max(previous, at)


def _notifications(timeline: Timeline, fault: FaultApplied | None) -> Iterator[tuple[Notified, str]]:
    """Each notification as it arrived, the heartbeat left out, with when it came."""
    for event in notifications(timeline):
        if event.alert != WATCHDOG:
            yield event, f"{event.at - fault.at:+.1f} s after the fault" if fault else ""
