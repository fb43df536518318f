"""What Alertmanager itself counts as sent: the evidence of delivery where no webhook of ours is among the receivers.

It counts by integration (slack, pagerduty, …) and not by receiver: so it is weaker evidence than what arrives, and the report states that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from tiercli.catalog.model import Catalog
from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.conventions import RECEIVER_PREFIX
from tiercli.drills.record.events import NotificationsSent, Observe, Unsound
from tiercli.errors import BackendError

# Of requests: a notification counts as sent when Alertmanager begins with it, and as failed only when it gives up.
SENT, FAILED = "alertmanager_notification_requests_total", "alertmanager_notification_requests_failed_total"
_POLL_S = 1.0

Counts = Mapping[tuple[str, str], float]


def integrations_of(catalog: Catalog) -> dict[str, list[str]]:
    """The integrations of each receiver of the catalog, by their names at Alertmanager."""
    return {name: sorted(receiver.kinds()) for name, receiver in catalog.receivers.items()}


def is_receiver(name: str, at_alertmanager: Iterable[str]) -> bool:
    """Whether a receiver of the catalog is among those of an alert. Where tiercli's part was joined to a configuration of others,
    receivers are prefixed."""
    return bool({name, f"{RECEIVER_PREFIX}/{name}"} & set(at_alertmanager))


async def read_counts(client: AlertmanagerClient) -> Counts:
    """Notifications sent and failed so far, by metric and integration. Raises BackendError."""
    counts: dict[tuple[str, str], float] = {}
    for name, labels, value in await client.metric_samples((SENT, FAILED)):
        key = (name, labels.get("integration", ""))
        counts[key] = counts.get(key, 0) + value
    return counts


def arrived(before: Counts, now: Counts, kind: str) -> float:
    """How many requests of an integration were answered well between two counts."""

    def more(name: str) -> float:
        return now.get((name, kind), 0) - before.get((name, kind), 0)

    return more(SENT) - more(FAILED)


async def watch_sent(client: AlertmanagerClient, before: Counts, observe: Observe) -> None:
    """An event for every change since `before`, until cancelled. Alertmanager's silence is another watcher's to tell."""
    last = dict(before)
    while True:
        try:
            now = await read_counts(client)
        except BackendError:
            now = last
        if any(now.get(key, 0) < count for key, count in last.items()):
            observe(Unsound(at=time.time(), reason="Alertmanager counts anew: it was restarted during the run"))
            return
        for kind in sorted({kind for _, kind in now}):
            if any(now.get((name, kind), 0) != last.get((name, kind), 0) for name in (SENT, FAILED)):
                observe(
                    NotificationsSent(
                        at=time.time(),
                        integration=kind,
                        sent=int(now.get((SENT, kind), 0) - before.get((SENT, kind), 0)),
                        failed=int(now.get((FAILED, kind), 0) - before.get((FAILED, kind), 0)),
                    )
                )
        last = dict(now)
        await asyncio.sleep(_POLL_S)
