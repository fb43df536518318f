"""Watching a run: what Prometheus, Alertmanager and the load say, turned into events when it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.prometheus import PrometheusClient
from tiercli.drills.load.plan import LoadWay
from tiercli.drills.record.events import AlertSeen, BackendLost, DeliverySeen, LoadWindow, Observe
from tiercli.drills.run.stopping import StopSignal
from tiercli.drills.sites.quiet import is_ours
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import BackendError

_T = TypeVar("_T")

POLL_S = 0.25
# Real seconds without an answer after which a server counts as lost; a slow answer on a busy machine does not.
LOST_AFTER_S = 4.0
ERROR_SHARE_OVER_S = 3.0
LEAST_ANSWERS = 20

_Identity = tuple[str, tuple[tuple[str, str], ...]]


async def watch_prometheus(
    client: PrometheusClient, observe: Observe, stop: StopSignal, *, estate: str, env: str
) -> None:
    """Poll the active alerts until cancelled; an event for every change of state."""
    states: dict[_Identity, str] = {}
    async for alerts in _poll("prometheus", client.alerts, stop):
        now = time.time()
        present: set[_Identity] = set()
        for alert in alerts:
            if not is_ours(alert.labels, estate, env):
                continue
            identity = _identity(alert.labels)
            present.add(identity)
            if states.get(identity) != alert.state:
                states[identity] = alert.state
                observe(
                    AlertSeen(
                        at=now,
                        alert=alert.labels.get("alertname", ""),
                        labels=dict(alert.labels),
                        state="firing" if alert.state == "firing" else "pending",
                        active_at=alert.active_at,
                        value=str(alert.value),
                    )
                )
        for identity in [known for known in states if known not in present]:
            del states[identity]
            observe(AlertSeen(at=now, alert=identity[0], labels=dict(identity[1]), state="inactive"))


async def watch_alertmanager(
    client: AlertmanagerClient, observe: Observe, stop: StopSignal, *, estate: str, env: str
) -> None:
    """Poll Alertmanager's alerts until cancelled; an event for every change of state."""
    states: dict[_Identity, str] = {}
    async for alerts in _poll("alertmanager", client.alerts, stop):
        now = time.time()
        names = {alert.fingerprint: alert.labels.get("alertname", alert.fingerprint) for alert in alerts}
        present: set[_Identity] = set()
        for alert in alerts:
            if not is_ours(alert.labels, estate, env) or (alert.ends_at is not None and alert.ends_at <= now):
                continue
            identity = _identity(alert.labels)
            present.add(identity)
            state = "suppressed" if alert.state == "suppressed" else "active"
            # "unprocessed" is Alertmanager's word before its first look: neither active nor suppressed yet.
            if alert.state != "unprocessed" and states.get(identity) != state:
                states[identity] = state
                observe(
                    DeliverySeen(
                        at=now,
                        alert=alert.labels.get("alertname", ""),
                        labels=dict(alert.labels),
                        state="suppressed" if state == "suppressed" else "active",
                        receivers=list(alert.receivers),
                        inhibited_by=[names.get(fingerprint, fingerprint) for fingerprint in alert.inhibited_by],
                        silenced_by=list(alert.silenced_by),
                    )
                )
        for identity in [known for known in states if known not in present]:
            del states[identity]
            observe(DeliverySeen(at=now, alert=identity[0], labels=dict(identity[1]), state="resolved"))


class ErrorShare:
    """The abort condition on failed calls: some seconds of them, and as many more as it takes to have enough answers, since a live
    load may be of one call a second."""

    def __init__(self, limit: float, *, above_steady: bool = False) -> None:
        """`limit`: the share of failed calls that the drill permits, 0 to 1. `above_steady`: once the steady phase is over, that
        much more than the share that failed in it."""
        self._limit = limit
        self._above_steady = above_steady
        self._recent: list[LoadWindow] = []
        self._steady: list[LoadWindow] | None = []
        self._usual = 0.0

    def begin_steady(self) -> None:
        """The steady phase begins: what failed before, while the load was begun, says nothing of what is usual."""
        self._steady = []

    def end_steady(self) -> None:
        """The steady phase is over: what failed in it is what fails without a fault."""
        steady, self._steady = self._steady or [], None
        if self._above_steady and (answered := _answered(steady)) >= LEAST_ANSWERS:
            self._usual = sum(window.failed for window in steady) / answered

    def exceeded(self, window: LoadWindow) -> str | None:
        """Add a window of the load; why the run has to stop, or None."""
        self._recent.append(window)
        if self._steady is not None:
            self._steady.append(window)
        while self._recent[0].at <= window.at - ERROR_SHARE_OVER_S and _answered(self._recent[1:]) >= LEAST_ANSWERS:
            del self._recent[0]
        failed, answered = sum(recent.failed for recent in self._recent), _answered(self._recent)
        if answered < LEAST_ANSWERS or failed / answered - self._usual <= self._limit:
            return None
        said = f"{failed / answered:.0%} of the calls failed, more than the {self._limit:.0%} that the drill permits"
        return f"{said} above the {self._usual:.0%} of the steady phase" if self._usual else said


def error_share(spec: DrillSpec, way: LoadWay | None) -> ErrorShare:
    """The abort condition of a drill whose load goes `way`; None: the sandbox's. Where there is no gateway nobody falls back, and an
    endpoint's usual failures are its callers': they are not the drill's doing."""
    return ErrorShare(spec.abort.error_share, above_steady=way is not None and bool(way.endpoints))


def _answered(windows: Sequence[LoadWindow]) -> int:
    return sum(window.failed + window.succeeded for window in windows)


async def _poll(name: str, ask: Callable[[], Awaitable[_T]], stop: StopSignal) -> AsyncIterator[_T]:
    last_answer = time.monotonic()
    while True:
        try:
            answer = await ask()
        except BackendError as error:
            if time.monotonic() - last_answer > LOST_AFTER_S:
                stop.set(BackendLost(at=time.time(), name=name, reason=error.message))
                return
        else:
            last_answer = time.monotonic()
            yield answer
        await asyncio.sleep(POLL_S)


def _identity(labels: Mapping[str, str]) -> _Identity:
    return labels.get("alertname", ""), tuple(sorted((name, value) for name, value in labels.items()))
