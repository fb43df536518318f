"""Who was told what: by what arrived at a webhook or, where none of ours is there, by what Alertmanager did."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.conventions import RECEIVER_PREFIX
from tiercli.drills.record.events import DeliverySeen, NotificationsSent, Notified, RunStarted, Timeline
from tiercli.sandbox.receiver import Notification

# An alert is seen at Alertmanager by asking; what it sends may be counted a moment before.
_SEEN_LATE_S = 0.5


def notifications(timeline: Timeline) -> tuple[Notified, ...]:
    """What receivers were told, oldest first. Of Alertmanager's word: an alert that it routed to a receiver, once every
    integration of that receiver has sent more and not failed; over when Alertmanager has it no more."""
    run = timeline.first(RunStarted)
    if run is None or run.told_by == "webhook":
        return tuple(timeline.of(Notified))
    return tuple(sorted(_by_alertmanager(run, timeline), key=lambda one: one.at))


def notified(notification: Notification) -> Notified:
    """What arrived at our webhook, as an event."""
    return Notified(
        at=notification.at,
        receiver=notification.receiver,
        status="resolved" if notification.status == "resolved" else "firing",
        alert=notification.labels.get("alertname", ""),
        labels=dict(notification.labels),
        annotations=dict(notification.annotations),
        group_key=notification.group_key,
        group_labels=dict(notification.group_labels),
        named=notification.named,
    )


def _by_alertmanager(run: RunStarted, timeline: Timeline) -> Iterator[Notified]:
    told: dict[tuple[tuple[str, str], ...], set[str]] = {}
    for seen in timeline.of(DeliverySeen):
        key = tuple(sorted(seen.labels.items()))
        if seen.state == "resolved":
            for receiver in sorted(told.pop(key, ())):
                yield _notified(seen, receiver, seen.at)
        elif seen.state == "active":
            for name in seen.receivers:
                receiver = name.removeprefix(f"{RECEIVER_PREFIX}/")
                sent_at = _sent_at(run.integrations.get(receiver, []), seen.at, timeline)
                if sent_at is not None:
                    told.setdefault(key, set()).add(receiver)
                    yield _notified(seen, receiver, sent_at)


def _notified(seen: DeliverySeen, receiver: str, at: float) -> Notified:
    status = "resolved" if seen.state == "resolved" else "firing"
    return Notified(at=at, receiver=receiver, status=status, alert=seen.alert, labels=seen.labels)  # type: ignore[arg-type]


def _sent_at(integrations: list[str], since: float, timeline: Timeline) -> float | None:
    """When the last of `integrations` had sent something after `since`; None where one has not, or there is none."""
    times = []
    for kind in integrations:
        before, at = 0, None
        for count in timeline.of(NotificationsSent):
            if count.integration != kind:
                continue
            arrived = count.sent - count.failed
            if count.at < since - _SEEN_LATE_S:
                before = arrived
            elif arrived > before:
                at = count.at
                break
        if at is None:
            return None
        times.append(at)
    return max(times, default=None)
