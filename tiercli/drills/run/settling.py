"""When a run may begin, and when it is over: nothing is pending before, and all that was told is resolved after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping

from tiercli.clients.prometheus import PrometheusClient
from tiercli.conventions import SEVERITY_LABEL, WATCHDOG
from tiercli.drills.judge.notifications import notifications
from tiercli.drills.record.events import AlertSeen, DeliverySeen, Timeline
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import BackendError

# How long quiet is waited for, real seconds: after a start, and in a sandbox that others used before, where what they left behind
# has to end first.
WARM_UP_S = 15.0
SETTLE_S = 120.0


async def wait_until_quiet(
    prometheus: PrometheusClient, limit_s: float, expected: Collection[str] | None = None
) -> None:
    """Wait until every target was scraped and nothing is pending any more, no longer than `limit_s`. With `expected`, in a sandbox
    that others used before: nothing that would interrupt anybody, and nothing that is expected. Trends look back for hours;
    one that began before is the others'.

    Prometheus finds its targets up to 5 real seconds after it starts and evaluates rules before that, so rules that look for
    something missing are true for a moment: minutes of compressed time. What stays is judged.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        await asyncio.sleep(0.2)
        try:
            down = await prometheus.query("up == 0")
            up = await prometheus.query("up == 1")
            quiet = all(_background(alert.labels, expected) for alert in await prometheus.alerts())
        except BackendError:
            continue
        if up and not down and quiet:
            return


def _background(labels: Mapping[str, str], expected: Collection[str] | None) -> bool:
    name = labels.get("alertname", "")
    trend = expected is not None and labels.get(SEVERITY_LABEL) == "trend" and name not in expected
    return name == WATCHDOG or trend


def _last_seen(timeline: Timeline) -> Iterator[AlertSeen]:
    """The last that Prometheus said of each alert."""
    last = {(event.alert, str(sorted(event.labels.items()))): event for event in timeline.of(AlertSeen)}
    yield from last.values()


def _may_fire_yet(event: AlertSeen, spec: DrillSpec, began: float) -> bool:
    allowed = any(
        one.alert == event.alert and one.state == "any" and one.labels.items() <= event.labels.items()
        for one in spec.allow
    )
    stays = any(one.alert == event.alert and one.resolved_within is None for one in spec.expect)
    of_others = event.active_at is not None and event.active_at < began
    return event.state == "pending" and event.alert != WATCHDOG and not (allowed or stays or of_others)


def all_resolved(spec: DrillSpec, timeline: Timeline) -> bool:
    """Whether every receiver was told last that what it had heard of is over, and heard of all that is expected; and of what
    nobody is told, whether it is over at Alertmanager. What is still pending may fire yet, unless the drill allows it to."""
    if any(_may_fire_yet(event, spec, timeline.began) for event in _last_seen(timeline)):
        return False
    told: dict[tuple[str, str, str], str] = {}
    for event in notifications(timeline):
        if event.alert != WATCHDOG:
            told[event.receiver, event.alert, str(sorted(event.labels.items()))] = event.status
    seen: dict[tuple[str, str], str] = {}
    for delivery in timeline.of(DeliverySeen):
        seen[delivery.alert, str(sorted(delivery.labels.items()))] = delivery.state
    heard = {(receiver, alert) for receiver, alert, _ in told}
    for expected in spec.expect:
        if expected.resolved_within is None:
            continue
        states = [state for (alert, _), state in seen.items() if alert == expected.alert]
        if expected.receiver is None and not (states and all(state == "resolved" for state in states)):
            return False
        if expected.receiver is not None and (expected.receiver, expected.alert) not in heard:
            return False
    return all(status == "resolved" for status in told.values())
