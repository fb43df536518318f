"""A live environment, as a site of drills: its own servers, its injectors, our Locust, and a lock."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.grafana import AnnotationsClient
from tiercli.clients.prometheus import PrometheusClient
from tiercli.conventions import DRILL_TAG
from tiercli.drills.load.cost import Spending, cost_per_call
from tiercli.drills.load.plan import LoadWay
from tiercli.drills.record.events import LoadWindow, Observe
from tiercli.drills.sites.estate import EditTree, Estate
from tiercli.drills.sites.interface import Mode, Off, OnExit, OnNotification, ToldBy
from tiercli.drills.sites.live_lock import locked
from tiercli.drills.sites.live_plan import LivePlan
from tiercli.drills.sites.quiet import is_ours
from tiercli.drills.sites.sent_counts import Counts, read_counts, watch_sent
from tiercli.drills.sites.surge import start_surge, surge_load
from tiercli.drills.spec.model import DrillSpec, FaultUse, Load
from tiercli.errors import BackendError
from tiercli.faults.environment.live import LiveInjectors
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.receiver import Notification, WebhookReceiver
from tiercli.sidecar.supervisor import Supervisor

# Dashboards show what has the first; the others are what annotations of drills have always had.
ANNOTATION_TAGS = (DRILL_TAG, "tiercli", "drill")


class LiveSite:
    """Entering takes the environment's lock, and listens where its Alertmanager sends to. `versions`: what runs there."""

    mode: Mode = "live"
    started = True  # others use it
    tree: Mapping[str, str] = {}

    def __init__(
        self,
        plan: LivePlan,
        injectors: LiveInjectors,
        versions: Mapping[str, str],
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.plan = plan
        self.spending = Spending(plan.cap_usd, cost_per_call(plan.spec.load, plan.estate.loaded.catalog))
        self._injectors = injectors
        self._versions = versions
        self._say = say
        self._stack = AsyncExitStack()
        self._lock: asyncio.Task[None] | None = None
        self._grafana: AnnotationsClient | None = None
        self._counts: Counts = {}
        self._on_exit: OnExit | None = None
        self._on_notification: OnNotification | None = None

    async def __aenter__(self) -> Self:
        plan, enter = self.plan, self._stack.enter_async_context
        catalog = plan.estate.loaded.catalog
        await self._stack.__aenter__()
        try:
            self.load_port = self._stack.enter_context(PortAllocator())()
            self.folder = Path(tempfile.mkdtemp(prefix="tiercli-drill-"))  # mode 0700; the supervisor's to delete
            self.supervisor = await enter(Supervisor(self.folder, self._exited))
            prometheus, alertmanager = plan.prometheus, plan.alertmanager
            self.prometheus = await enter(
                PrometheusClient(prometheus.url, headers=prometheus.headers, verify=prometheus.verify)
            )
            self.alertmanager = await enter(
                AlertmanagerClient(alertmanager.url, headers=alertmanager.headers, verify=alertmanager.verify)
            )
            lock = await enter(locked(self.alertmanager, catalog.estate, catalog.env, plan.spec.name))
            self._lock = asyncio.create_task(lock.keep())
            if plan.environment.webhook is not None:
                host, _, port = plan.environment.webhook.rpartition(":")
                await enter(WebhookReceiver(int(port), self._notified, host=host.strip("[]")))
            else:
                self._counts = await read_counts(self.alertmanager)
            if plan.grafana is not None:
                grafana = plan.grafana
                self._grafana = await enter(
                    AnnotationsClient(grafana.url, headers=grafana.headers, verify=grafana.verify)
                )
            await enter(self._injectors)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.cancel()
            await asyncio.gather(self._lock, return_exceptions=True)
        await self._stack.aclose()

    @property
    def estate(self) -> Estate:
        """What the catalog says of it."""
        return self.plan.estate

    @property
    def load_way(self) -> LoadWay:
        """Where calls go, and with which keys."""
        return self.plan.way

    @property
    def told_by(self) -> ToldBy:
        """Our webhook's word where the catalog names one, else Alertmanager's."""
        return "alertmanager" if self.plan.environment.webhook is None else "webhook"

    async def start(self, load: Load, edit_tree: EditTree | None = None) -> None:
        """It runs already."""

    @property
    def reports_exits(self) -> bool:
        """What is scraped here is not started by tiercli."""
        return False

    async def why_not_now(self, spec: DrillSpec) -> str | None:
        """An alert that is there before its fault could prove nothing by being there after."""
        self._say("checking that no expected alert is pending or firing")
        catalog = self.estate.loaded.catalog
        alerts = [alert.labels for alert in await self.prometheus.alerts()]
        ours = [labels for labels in alerts if is_ours(labels, catalog.estate, catalog.env)]
        early = sorted({expected.alert for expected in spec.expect if any(map(expected.matches, ours))})
        if not early:
            return None
        return f"{', '.join(early)} {'is' if len(early) == 1 else 'are'} pending or firing before the drill begins"

    async def settle(self, spec: DrillSpec, others_before: bool, report: Callable[[str], None]) -> None:
        """Nothing is waited for: what else goes on here goes on."""

    @asynccontextmanager
    async def reporting_to(self, on_exit: OnExit, on_notification: OnNotification) -> AsyncIterator[None]:
        """Inside, a drill gets its processes that end by themselves and what arrives at the webhook."""
        self._on_exit, self._on_notification = on_exit, on_notification
        try:
            yield
        finally:
            self._on_exit = self._on_notification = None

    async def apply(self, use: FaultUse, length_s: float, observe: Observe) -> Off:
        """Turn a fault on: by load, or by an injector of the environment. Raises BackendError, InvalidInput."""
        await self.note(f"fault {use.fault} on {_said(use.target)}")
        if self._injectors.by_load(use.fault, use.target):
            off = await self._surge(use, length_s, observe)
        else:
            try:
                applied = await self._injectors.apply(use.fault, use.target, use.settings)
            except asyncio.CancelledError:  # it may be on already, or be about to
                await asyncio.shield(self._injectors.clear_all())
                raise
            self._say(applied.description)
            off = applied.clear

        async def clear() -> None:
            await off()
            await self.note(f"fault {use.fault} off {_said(use.target)}")

        return clear

    async def _surge(self, use: FaultUse, length_s: float, observe: Observe) -> Off:
        prices = cost_per_call(surge_load(use, length_s), self.estate.loaded.catalog)

        def count(window: LoadWindow) -> None:
            self.spending.add(window, prices)

        return await start_surge(use, length_s, self, observe, count)

    async def renew(self) -> None:
        """Renew the lock and every lease. Raises BackendError where one has ended."""
        await self._injectors.renew_all()
        if self._lock is not None and self._lock.done():
            self._lock.result()  # it ends only by an error

    def watchers(self, observe: Observe) -> Sequence[Coroutine[None, None, None]]:
        """What Alertmanager sends, where its word counts."""
        return () if self.told_by == "webhook" else (watch_sent(self.alertmanager, self._counts, observe),)

    async def note(self, text: str) -> None:
        """Mark this moment in the environment's Grafana, if it has one; what that says to it changes nothing."""
        if self._grafana is None:
            return
        catalog = self.estate.loaded.catalog
        tags = (*ANNOTATION_TAGS, self.plan.spec.name, catalog.estate, self.plan.name)
        try:
            await asyncio.shield(self._grafana.annotate(text, tags, time.time()))
        except BackendError as error:
            self._say(f"Grafana has no annotation of it: {error.message}")

    def facts(self) -> Mapping[str, str]:
        """Versions, and what is real here: everything."""
        plan = self.plan
        to = plan.gateway.url if plan.gateway else "tiercli proxy, before each endpoint"
        evidence = plan.environment.webhook or "what Alertmanager counts as sent"
        return {
            "environment": plan.name,
            **self._versions,
            "data path": f"Locust → {to}",
            "told by": evidence,
            "real, not simulated": "everything: gateway, endpoints, prometheus, alertmanager, Locust",
        }

    def limits(self) -> Sequence[str]:
        """What limits a result."""
        counted = (
            "notifications are what Alertmanager counts by integration: weaker evidence than what arrives at a webhook"
        )
        return () if self.told_by == "webhook" else (counted,)

    def _exited(self, name: str, code: int) -> None:
        if self._on_exit is not None:
            self._on_exit(name, code)

    def _notified(self, notification: Notification) -> None:
        if self._on_notification is not None:
            self._on_notification(notification)


def _said(target: Mapping[str, str]) -> str:
    return ", ".join(f"{label}={value}" for label, value in target.items()) or "everything"
