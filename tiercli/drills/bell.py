"""The fire bell: one synthetic alert for each severity and owner, sent into Alertmanager, followed to its receiver, and ended.

It tests the last mile (routes, credentials, the pager) without touching traffic. Each alert says that it is a test, and ends by
itself when whoever rang does not.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tiercli.catalog.model import Catalog
from tiercli.clients.alertmanager import AlertGroup, AlertmanagerClient, GettableAlert
from tiercli.conventions import (
    ENV_LABEL,
    ESTATE_LABEL,
    OWNER_LABEL,
    SEVERITIES,
    SEVERITY_LABEL,
)
from tiercli.drills.sites.sent_counts import FAILED, Counts, arrived, is_receiver, read_counts

ALERT = "FireBell"
BELL_LABEL = "bell"
LEASE_S = 300.0  # a bell that nobody ends any more ends after that
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Bell:
    """One synthetic alert: whose, how severe, where it must go (the catalog's name), and by which integrations."""

    severity: str
    owner: str
    receiver: str
    integrations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rung:
    """What became of a bell. `problem` is empty where everything was as it should be."""

    bell: Bell
    seen_at: str = ""  # the receivers that Alertmanager routed it to
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Peal:
    """A whole ringing: each bell, how long the last took to be sent out, seconds, and whether nothing of it is left."""

    rung: tuple[Rung, ...]
    sent_s: float | None
    failed_integrations: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every bell reached its receiver and nothing is left."""
        problems = self.left or self.failed_integrations or any(bell.problem for bell in self.rung)
        return self.sent_s is not None and not problems


def bells_of(catalog: Catalog) -> list[Bell]:
    """A bell for each severity and owner of a catalog."""
    bells = []
    for severity in SEVERITIES:
        for name, owner in catalog.owners.items():
            receiver = getattr(owner, severity) or getattr(catalog.routing, severity)
            kinds = catalog.receivers[receiver].model_dump(exclude_none=True)
            bells.append(Bell(severity, name, receiver, tuple(sorted(kinds))))
    return bells


async def ring(
    client: AlertmanagerClient,
    catalog: Catalog,
    bells: Sequence[Bell],
    *,
    within_s: float,
    say: Callable[[str], None] = lambda text: None,
) -> Peal:
    """Ring, follow, end. `within_s`: how long it may take until every bell is sent out, real seconds. Raises BackendError where
    Alertmanager does not answer; the bells end by themselves then."""
    number = secrets.token_hex(4)
    before = await read_counts(client)
    began = time.time()
    say(f"ringing {len(bells)} bells ({BELL_LABEL}={number})")
    await client.post_alerts(_alerts(catalog, bells, number, began, began + LEASE_S))
    rung = {bell: Rung(bell, problem="Alertmanager does not have it") for bell in bells}
    sent_s: float | None = None
    failed: tuple[str, ...] = ()
    unsent = {kind: "nothing was sent" for bell in bells for kind in bell.integrations}
    try:
        while time.time() - began < within_s:
            await asyncio.sleep(_POLL_S)
            alerts = await _ours(client, number)
            rung = {bell: _followed(bell, alerts) for bell in bells}
            wanted = _wanted(bells, await client.alert_groups(), number)
            now = await read_counts(client)
            unsent = _unsent(wanted, before, now)
            failed = tuple(
                sorted(kind for kind in unsent if now.get((FAILED, kind), 0) > before.get((FAILED, kind), 0))
            )
            if all(not answer.problem for answer in rung.values()) and not unsent:
                sent_s = time.time() - began
                break
    finally:
        say("ending them")
        await client.post_alerts(_alerts(catalog, bells, number, began, time.time()))
    left = await _wait_until_gone(client, number)
    if sent_s is None:
        rung = {
            bell: answer if answer.problem else replace(answer, problem=_said(bell, unsent))
            for bell, answer in rung.items()
        }
    return Peal(tuple(rung.values()), sent_s, failed, left)


def _alerts(
    catalog: Catalog, bells: Sequence[Bell], number: str, starts_at: float, ends_at: float
) -> list[dict[str, object]]:
    return [
        {
            "labels": {
                "alertname": ALERT,
                ESTATE_LABEL: catalog.estate,
                ENV_LABEL: catalog.env,
                SEVERITY_LABEL: bell.severity,
                OWNER_LABEL: bell.owner,
                BELL_LABEL: number,
            },
            "annotations": {
                "summary": f"TEST, nothing is wrong: fire bell for {bell.severity} of {bell.owner}",
                "description": "tiercli drill bell rings to see that alerts arrive. It ends by itself within minutes.",
            },
            "startsAt": _rfc3339(starts_at),
            "endsAt": _rfc3339(ends_at),
        }
        for bell in bells
    ]


def _followed(bell: Bell, alerts: Sequence[GettableAlert]) -> Rung:
    alert = next(
        (
            alert
            for alert in alerts
            if (alert.labels[SEVERITY_LABEL], alert.labels[OWNER_LABEL]) == (bell.severity, bell.owner)
        ),
        None,
    )
    if alert is None:
        return Rung(bell, problem="Alertmanager does not have it")
    seen_at = ", ".join(alert.receivers)
    if alert.silenced_by:
        return Rung(bell, seen_at, "a silence holds it back")
    if alert.inhibited_by:
        return Rung(bell, seen_at, "another alert inhibits it")
    if not is_receiver(bell.receiver, alert.receivers):
        return Rung(bell, seen_at, f"it is routed to {seen_at or 'nobody'}, not to {bell.receiver}")
    return Rung(bell, seen_at)


def _wanted(bells: Sequence[Bell], groups: Sequence[AlertGroup], number: str) -> dict[str, int]:
    """How many notifications each integration has to send: one for each group that Alertmanager made of the bells, and for each of
    their receivers at least one."""
    receivers: dict[str, set[str]] = {}
    for bell in bells:
        for kind in bell.integrations:
            receivers.setdefault(kind, set()).add(bell.receiver)
    ours = [group.receiver for group in groups if any(labels.get(BELL_LABEL) == number for labels in group.alerts)]
    return {
        kind: max(len(names), sum(any(is_receiver(name, (our,)) for name in names) for our in ours))
        for kind, names in receivers.items()
    }


def _unsent(wanted: Mapping[str, int], before: Counts, now: Counts) -> dict[str, str]:
    """What is missing, by integration: Alertmanager does not count by receiver. A request that failed was made good where as many
    others were answered well as there were to be."""
    unsent = {}
    for kind, count in wanted.items():
        well = arrived(before, now, kind)
        if well < count:
            unsent[kind] = f"only {well:g} of {count} notifications were sent" if well > 0 else "nothing was sent"
    return unsent


def _said(bell: Bell, unsent: Mapping[str, str]) -> str:
    return ", ".join(f"{unsent[kind]} by {kind}" for kind in bell.integrations if kind in unsent)


async def _ours(client: AlertmanagerClient, number: str) -> list[GettableAlert]:
    return [alert for alert in await client.alerts() if alert.labels.get(BELL_LABEL) == number]


async def _wait_until_gone(client: AlertmanagerClient, number: str) -> tuple[str, ...]:
    """What Alertmanager still calls active of a ringing that is over."""
    left: list[GettableAlert] = []
    for _ in range(20):
        now = time.time()
        left = [our for our in await _ours(client, number) if our.ends_at is None or our.ends_at > now]
        if not left:
            break
        await asyncio.sleep(_POLL_S)
    return tuple(f"{alert.labels[SEVERITY_LABEL]} of {alert.labels[OWNER_LABEL]}" for alert in left)


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
