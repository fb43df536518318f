"""What brings about each fault in a sandbox: its fault proxy, its gateway, its processes, more load."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tiercli.drills.load.surge_load import start_surge
from tiercli.drills.run.watchers import Observe
from tiercli.drills.sites.interface import Off
from tiercli.drills.spec.model import FaultUse
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.interface import Injector

if TYPE_CHECKING:
    from tiercli.drills.sites.sandbox import DrillSandbox

_Apply = Callable[[FaultUse, float, "DrillSandbox", Observe], Awaitable[Off]]


async def apply_in_sandbox(use: FaultUse, length_s: float, sandbox: DrillSandbox, observe: Observe) -> Off:
    """Turn a fault on for `length_s` seconds; what turns it off. `observe` hears where a load is not what was asked for. Raises BackendError, InvalidInput."""
    return await _APPLY[FAULTS_BY_NAME[use.fault].injector](use, length_s, sandbox, observe)


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
