"""Which receivers were notified of what: by what arrived at a webhook or, where none of ours is configured, by what Alertmanager did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tiercli.conventions import RECEIVER_PREFIX
from tiercli.drills.record.events import DeliverySeen, NotificationsSent, Notified, RunStarted, Timeline
from tiercli.drills.record.result import Outcome, Step
from tiercli.sandbox.receiver import Notification

NOTIFICATION_CHECK = "notification matches the alert"  # the name of its step in result.json

# An alert is seen at Alertmanager by asking; what it sends may be counted a moment before.
_SEEN_LATE_S = 0.5


def notifications(timeline: Timeline) -> tuple[Notified, ...]:
    """Notifications received, oldest first. Of Alertmanager's word: an alert that it routed to a receiver, once every
    integration of that receiver has sent more and not failed; over when Alertmanager has it no more."""
    run = timeline.first(RunStarted)
    if run is None or run.told_by == "webhook":
        return tuple(timeline.of(Notified))
    return tuple(sorted(_by_alertmanager(run, timeline), key=lambda event: event.at))


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
    receivers_by_alert: dict[tuple[tuple[str, str], ...], set[str]] = {}
    for seen in timeline.of(DeliverySeen):
        key = tuple(sorted(seen.labels.items()))
        if seen.state == "resolved":
            for receiver in sorted(receivers_by_alert.pop(key, ())):
                yield _notified(seen, receiver, seen.at)
        elif seen.state == "active":
            for name in seen.receivers:
                receiver = name.removeprefix(f"{RECEIVER_PREFIX}/")
                sent_at = _sent_at(run.integrations.get(receiver, []), seen.at, timeline)
                if sent_at is not None:
                    receivers_by_alert.setdefault(key, set()).add(receiver)
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


def judge_payload(fired: Sequence[Mapping[str, str]], delivered: Sequence[Notified]) -> Step:
    """`fired`: the labels of each alert at Prometheus that was expected; `delivered`: every notification of them. Prometheus may add labels of its own
    on the way (external_labels); none may be lost or changed."""
    wrong = list(dict.fromkeys(_wrong(fired, delivered)))
    message = "; ".join(wrong) if wrong else "the notification has every label, in one group"
    return Step(name=NOTIFICATION_CHECK, outcome=Outcome.FAILED if wrong else Outcome.PASSED, message=message)


def _wrong(fired: Sequence[Mapping[str, str]], delivered: Sequence[Notified]) -> Iterator[str]:
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = {}
    for notification in delivered:
        for name, value in _differences(fired, notification.labels):
            yield f"{notification.receiver} was notified with {name}={notification.labels.get(name) or 'nothing'}; the alert fired with {value}"
        for name, value in notification.group_labels.items():
            if notification.labels.get(name, "") != value:
                yield f"{notification.receiver} was notified with the group {name}={value}, to which it does not belong"
        # An operator of Kubernetes puts a namespace before the name: namespace/configuration/name.
        if notification.named and notification.named.rpartition("/")[2] != notification.receiver:
            yield f"what arrived at {notification.receiver} was meant for {notification.named}"
        if notification.group_key:
            groups.setdefault((notification.receiver, tuple(sorted(notification.labels.items()))), set()).add(
                notification.group_key
            )
    for (receiver, _), keys in groups.items():
        if len(keys) > 1:
            yield f"{receiver} was notified of it in {len(keys)} groups: what ended there is not what began"


def _differences(fired: Sequence[Mapping[str, str]], received: Mapping[str, str]) -> list[tuple[str, str]]:
    """The labels that did not arrive unchanged, of the fired alert that is most like the notification."""
    lost = [[(name, value) for name, value in labels.items() if received.get(name) != value] for labels in fired]
    return min(lost, key=len, default=[])
