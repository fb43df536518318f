"""Where a drill runs, as its runner sees it: a sandbox, or a live environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.prometheus import PrometheusClient
from tiercli.drills.load.cost import Spending
from tiercli.drills.load.plan import LoadWay
from tiercli.drills.record.events import Observe
from tiercli.drills.sites.estate import EditTree, Estate
from tiercli.drills.spec.model import DrillSpec, FaultUse, Load
from tiercli.sandbox.receiver import Notification
from tiercli.sidecar.supervisor import Supervisor

ToldBy = Literal["webhook", "alertmanager"]
Mode = Literal["sandbox", "live"]
OnExit = Callable[[str, int], None]
OnNotification = Callable[[Notification], None]
# Turns a fault off.
Off = Callable[[], Awaitable[None]]


class DrillSite(Protocol):
    """An entered site. `folder` is deleted with it; `supervisor` supervises what a drill starts there; `tree` is the configuration
    that it runs under, as far as tiercli wrote it. `started`: whether others used it before."""

    @property
    def mode(self) -> Mode: ...
    @property
    def estate(self) -> Estate: ...
    @property
    def folder(self) -> Path: ...
    @property
    def supervisor(self) -> Supervisor: ...
    @property
    def load_way(self) -> LoadWay: ...
    @property
    def load_port(self) -> int: ...
    @property
    def prometheus(self) -> PrometheusClient: ...
    @property
    def alertmanager(self) -> AlertmanagerClient: ...
    @property
    def tree(self) -> Mapping[str, str]: ...
    @property
    def started(self) -> bool: ...

    async def start(self, load: Load, edit_tree: EditTree | None = None) -> None:
        """Make it ready for a drill under `load`. Raises BackendError."""

    def reporting_to(self, on_exit: OnExit, on_notification: OnNotification) -> AbstractAsyncContextManager[None]:
        """Inside, a drill gets the processes that end by themselves and the notifications."""

    @property
    def reports_exits(self) -> bool:
        """Whether everything that is scraped here is a process of this site, whose end `on_exit` reports."""

    async def why_not_now(self, spec: DrillSpec) -> str | None:
        """Why a drill could prove nothing here now, asked before there is any load; None where nothing speaks against it. Raises
        BackendError."""

    async def settle(self, spec: DrillSpec, others_before: bool, report: Callable[[str], None]) -> None:
        """Wait, under load, until a drill can begin. `others_before`: whether other drills ran here. Raises BackendError."""

    async def apply(self, use: FaultUse, length_s: float, observe: Observe) -> Off:
        """Turn a fault on, for `length_s` real seconds; `observe` gets what keeps it from being one. Raises BackendError,
        InvalidInput."""

    async def renew(self) -> None:
        """Renew the lease of every fault that is on. Raises BackendError where one has ended by itself."""

    @property
    def told_by(self) -> ToldBy:
        """The evidence of notifications: what arrives at our webhook, or what Alertmanager reports."""

    @property
    def spending(self) -> Spending | None:
        """What the load costs; None where nothing does."""

    def watchers(self, observe: Observe) -> Sequence[Coroutine[None, None, None]]:
        """What else is to be watched while a drill runs."""

    async def note(self, text: str) -> None:
        """Tell whoever looks at this environment's dashboards that something begins or ends. Never fails."""

    def facts(self) -> Mapping[str, str]:
        """What the verification record says of it, by name."""

    def limits(self) -> Sequence[str]:
        """What limits a result that was had here."""
