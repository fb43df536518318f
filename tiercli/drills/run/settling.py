"""When a run is over: every notification of a firing alert was followed by one that it is resolved."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.conventions import WATCHDOG
from tiercli.drills.judge.notifications import notifications
from tiercli.drills.record.events import AlertSeen, DeliverySeen, Timeline
from tiercli.drills.spec.model import DrillSpec


def _last_seen(timeline: Timeline) -> Iterator[AlertSeen]:
    """The last state of each alert at Prometheus."""
    last = {(event.alert, str(sorted(event.labels.items()))): event for event in timeline.of(AlertSeen)}
    yield from last.values()


def _may_fire_yet(event: AlertSeen, spec: DrillSpec, began: float) -> bool:
    allowed = any(
        expected.alert == event.alert and expected.state == "any" and expected.labels.items() <= event.labels.items()
        for expected in spec.allow
    )
    stays = any(expected.alert == event.alert and expected.resolved_within is None for expected in spec.expect)
    of_others = event.active_at is not None and event.active_at < began
    return event.state == "pending" and event.alert != WATCHDOG and not (allowed or stays or of_others)


def all_resolved(spec: DrillSpec, timeline: Timeline) -> bool:
    """Whether every receiver was notified of all that is expected, and last that it is resolved; and what no receiver gets is resolved
    at Alertmanager. What is still pending may fire yet, unless the drill allows it to."""
    if any(_may_fire_yet(event, spec, timeline.began) for event in _last_seen(timeline)):
        return False
    last_status: dict[tuple[str, str, str], str] = {}
    for event in notifications(timeline):
        if event.alert != WATCHDOG:
            last_status[event.receiver, event.alert, str(sorted(event.labels.items()))] = event.status
    seen: dict[tuple[str, str], str] = {}
    for delivery in timeline.of(DeliverySeen):
        seen[delivery.alert, str(sorted(delivery.labels.items()))] = delivery.state
    reached = {(receiver, alert) for receiver, alert, _ in last_status}
    for expected in spec.expect:
        if expected.resolved_within is None:
            continue
        states = [state for (alert, _), state in seen.items() if alert == expected.alert]
        if expected.receiver is None and not (states and all(state == "resolved" for state in states)):
            return False
        if expected.receiver is not None and (expected.receiver, expected.alert) not in reached:
            return False
    return all(status == "resolved" for status in last_status.values())
