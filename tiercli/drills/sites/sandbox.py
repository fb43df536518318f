"""A sandbox that has been started for drills: one after another they run in it, each with its own load and record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, Self

from tiercli.catalog.model import Catalog
from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.prometheus import PrometheusClient
from tiercli.drills.load.plan import LoadWay
from tiercli.drills.record.events import Observe
from tiercli.drills.sites.estate import EditTree, Estate, start_sandbox
from tiercli.drills.sites.interface import Mode, Off, OnExit, OnNotification
from tiercli.drills.sites.quiet import SETTLE_S, WARM_UP_S, wait_until_quiet
from tiercli.drills.sites.surge import start_surge
from tiercli.drills.spec.model import DrillSpec, FaultUse, Load
from tiercli.durations import parse_duration
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.interface import Injector
from tiercli.faults.proxy.client import FaultControl
from tiercli.sandbox.gateway.conditions import CONTROL_PATH
from tiercli.sandbox.real_parts.interface import RealPart
from tiercli.sandbox.receiver import Notification, WebhookReceiver
from tiercli.sandbox.sandbox import Sandbox
from tiercli.sandbox.stack.binaries import StackBinaries, find_stack
from tiercli.sidecar.supervisor import Supervisor
from tiercli.signals.sources import catalog_sources


class DrillSandbox:
    """Entering makes its folder and ports; `start` starts it. Inside `reporting_to` a drill gets what happens in it."""

    def __init__(
        self, estate: Estate, binaries: StackBinaries | None = None, ports: Mapping[str, int] | None = None
    ) -> None:
        """`binaries`: found where they are not given, which may raise ToolMissing. `ports`: those that are to be fixed, by name."""
        self.estate = estate
        self.binaries = binaries or find_stack()
        self.tree: Mapping[str, str] = {}
        self._on_exit: OnExit | None = None
        self._on_notification: OnNotification | None = None
        self._ended: dict[str, int] = {}  # by itself, while no drill was running
        self._stack = AsyncExitStack()
        self.sandbox = Sandbox(
            estate.loaded.catalog,
            self.binaries,
            estate.timing,
            on_exit=self._exited,
            ports=ports,
            tenant_calls_per_10s=estate.settings.tenant_calls_per_10s,
            quota_of=estate.settings.quota_of,
            cooldown_s=parse_duration(estate.settings.cooldown or "0s") / estate.timing.factor,
            real=estate.real,
        )

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        try:
            sandbox, enter = await self._stack.enter_async_context(self.sandbox), self._stack.enter_async_context
            await enter(WebhookReceiver(sandbox.addresses.receiver, self._notified))
            self.prometheus = await enter(PrometheusClient(sandbox.addresses.prometheus_url))
            self.alertmanager = await enter(AlertmanagerClient(sandbox.addresses.alertmanager_url))
            self.control = await enter(FaultControl(sandbox.plan.proxy.control_url, sandbox.token))
            self.gateway_controls = [
                await enter(FaultControl(gateway.url + CONTROL_PATH, of="the simulated gateway"))
                for gateway in sandbox.plan.gateways
            ]
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def reporting_to(self, on_exit: OnExit, on_notification: OnNotification) -> AsyncIterator[None]:
        """Inside, a drill gets the processes that end by themselves, those that ended before it too, and the notifications. What
        arrives between two drills is accepted and dropped, so that Alertmanager does not send it again to the next."""
        self._on_exit, self._on_notification = on_exit, on_notification
        for name, code in self._ended.items():
            on_exit(name, code)
        try:
            yield
        finally:
            self._on_exit = self._on_notification = None

    def _exited(self, name: str, code: int) -> None:
        if self._on_exit is not None:
            self._on_exit(name, code)
        else:
            self._ended[name] = code

    def _notified(self, notification: Notification) -> None:
        if self._on_notification is not None:
            self._on_notification(notification)

    @property
    def started(self) -> bool:
        """Whether `start` has come to its end."""
        return bool(self.tree)

    async def start(self, load: Load, edit_tree: EditTree | None = None) -> None:
        """Configure and start it, with the past of an estate that has always had `load`. Raises BackendError."""
        self.tree = await start_sandbox(self.estate, self.sandbox, edit_tree, load)

    @property
    def mode(self) -> Mode:
        """What kind of site this is."""
        return "sandbox"

    @property
    def folder(self) -> Path:
        """The sandbox's folder."""
        return self.sandbox.folder

    @property
    def supervisor(self) -> Supervisor:
        """Who supervises its processes."""
        return self.sandbox.supervisor

    @property
    def load_way(self) -> LoadWay:
        """The first instance of the gateway."""
        return LoadWay(self.sandbox.plan.gateways[0].url)

    @property
    def load_port(self) -> int:
        """Where a load's workers find its master."""
        return self.sandbox.load_port

    async def apply(self, use: FaultUse, length_s: float, observe: Observe) -> Off:
        """Turn a fault on. Raises BackendError."""
        return await _APPLY[FAULTS_BY_NAME[use.fault].injector](use, length_s, self, observe)

    async def renew(self) -> None:
        """Renew every lease. Raises BackendError where one has ended."""
        for control in (self.control, *self.gateway_controls):
            await control.renew_all()

    @property
    def reports_exits(self) -> bool:
        """All that is scraped is a process of the sandbox."""
        return True

    async def why_not_now(self, spec: DrillSpec) -> str | None:
        """Nothing: what is expected and already there is waited out by `settle`."""
        return None

    async def settle(self, spec: DrillSpec, others_before: bool, report: Callable[[str], None]) -> None:
        """Wait for the first scrapes, or until what other drills left behind is over."""
        if not others_before:
            report("waiting for the first scrapes")
            await wait_until_quiet(self.prometheus, WARM_UP_S)
            return
        report("waiting until the alerts of earlier drills are resolved")
        await wait_until_quiet(self.prometheus, SETTLE_S, {expected.alert for expected in spec.expect})

    @property
    def told_by(self) -> Literal["webhook"]:
        """What arrives at our webhook is the evidence of notifications."""
        return "webhook"

    @property
    def spending(self) -> None:
        """Nothing costs anything here."""
        return

    def watchers(self, observe: Observe) -> Sequence[Coroutine[None, None, None]]:
        """What else is to be watched while a drill runs."""
        return ()

    async def note(self, text: str) -> None:
        """Nobody else looks at a sandbox's dashboards."""

    def facts(self) -> Mapping[str, str]:
        """Versions, and what is real here."""
        return sandbox_facts(self.binaries, self.estate.real)

    def limits(self) -> Sequence[str]:
        """What limits a result."""
        real = {part.binding for part in self.estate.real}
        names = dict.fromkeys(source.binding.source for source in catalog_sources(self.estate.loaded))
        spoken = ", ".join(name for name in names if name not in real)
        said = f"what {spoken} would expose is spoken by the simulation, after its documentation"
        return (_limit(self.estate.loaded.catalog, self.estate.real), *((said,) if spoken else ()))


_Apply = Callable[[FaultUse, float, DrillSandbox, Observe], Awaitable[Off]]


async def _at_proxy(use: FaultUse, length_s: float, sandbox: DrillSandbox, observe: Observe) -> Off:
    applied = await sandbox.control.apply(use.fault, use.target, use.settings)
    return lambda: sandbox.control.clear(applied)


async def _at_gateway(use: FaultUse, length_s: float, sandbox: DrillSandbox, observe: Observe) -> Off:
    """At every instance."""
    controls = sandbox.gateway_controls
    applied = [(control, await control.apply(use.fault, use.target, use.settings)) for control in controls]

    async def turn_off() -> None:
        for control, fault in applied:
            await control.clear(fault)

    return turn_off


async def _at_processes(use: FaultUse, length_s: float, sandbox: DrillSandbox, observe: Observe) -> Off:
    """Every instance of the gateway, or as many as the settings say."""
    settings = FAULTS_BY_NAME[use.fault].settings.model_validate(use.settings)
    names = sandbox.sandbox.gateway_names
    count = min(getattr(settings, "instances", len(names)), len(names))
    stopped = names[:count] if getattr(settings, "first", False) else names[len(names) - count :]
    for name in stopped:
        await sandbox.sandbox.stop_process(name)

    async def start_again() -> None:
        for name in stopped:
            await sandbox.sandbox.start_process(name)

    return start_again


_APPLY: dict[Injector, _Apply] = {
    "proxy": _at_proxy,
    "gateway": _at_gateway,
    "process": _at_processes,
    "load": start_surge,
}


SANDBOX_LIMITS = ("providers and gateway are simulated: this proves the alarms, not the providers",)


def _limit(catalog: Catalog, real: Sequence[RealPart]) -> str:
    """Which of the estate's programs were none: servers of one kind may be real beside others that are not."""
    if not real:
        return SANDBOX_LIMITS[0]
    bindings = {part.binding for part in real}
    left = [
        provider for provider in catalog.providers.values() if not (provider.servers and provider.binding in bindings)
    ]
    simulated = {
        "the cloud's providers": any(provider.tier == "cloud" for provider in left),
        "the gateway": all(part.kind != "gateway" for part in real),
        "local servers": any(provider.tier != "cloud" for provider in left),
    }
    said = ", ".join(what for what, is_so in simulated.items() if is_so) or "nothing"
    return f"simulated: {said}: this proves the alarms, not the providers"


def sandbox_facts(binaries: StackBinaries, real: Sequence[RealPart] = ()) -> dict[str, str]:
    """What a verification record says of any sandbox, by name."""
    gateway = next((part.name for part in real if part.kind == "gateway"), "gateway (simulated)")
    servers = "".join(f", {part.name}" for part in real if part.kind == "servers")
    named = "".join(f"{part.name} {part.version()}, " for part in real)
    return {
        **binaries.versions(),
        "data path": f"Locust → {gateway} → fault proxy → providers (simulated){servers}",
        "real, not simulated": f"prometheus, alertmanager, {named}the generated rules and routes, HTTP, Locust",
    }
