"""Faults on and off: each an async context manager, so that whatever ends the run also ends its faults."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tiercli.drills.drill_sandbox import DrillSandbox
from tiercli.drills.load_plan import build_load_plan
from tiercli.drills.load_process import LOCUST, locust_process, tail_windows
from tiercli.drills.observation import Observe
from tiercli.drills.spec import FaultUse, Load, LoadStep, Mix
from tiercli.drills.stopping import StopSignal
from tiercli.drills.timeline import BackendLost, FaultApplied, FaultCleared
from tiercli.durations import format_duration
from tiercli.errors import BackendError, FaultNotReverted, TiercliError
from tiercli.faults import FAULTS_BY_NAME
from tiercli.faults.control import LEASE_S
from tiercli.faults.interface import Injector

# Turns a fault on for so many seconds, and gives what turns it off.
Off = Callable[[], Awaitable[None]]
_Apply = Callable[[FaultUse, float, DrillSandbox], Awaitable[Off]]
_LOAD_WITHIN_S = 15.0
_numbers = itertools.count(1)
_MIX_KEYS = {"alias": "aliases", "tenant": "tenants", "feature": "features"}


@asynccontextmanager
async def applied_fault(use: FaultUse, length_s: float, sandbox: DrillSandbox, observe: Observe) -> AsyncIterator[None]:
    """The fault is on inside, for `length_s`. Raises BackendError when it cannot be turned on, FaultNotReverted when not off
    again."""
    off = await _APPLY[FAULTS_BY_NAME[use.fault].injector](use, length_s, sandbox)
    observe(FaultApplied(at=time.time(), fault=use.fault, target=dict(use.target), settings=dict(use.settings)))
    try:
        yield
    finally:
        # Shielded: what cancels the run must not cancel the end of its faults.
        await asyncio.shield(_turn_off(use, off))
        observe(FaultCleared(at=time.time(), fault=use.fault, target=dict(use.target)))


@asynccontextmanager
async def renewed_leases(sandbox: DrillSandbox, stop: StopSignal) -> AsyncIterator[None]:
    """Inside, the leases of faults that are on are renewed; a fault that ended by itself stops the run."""
    task = asyncio.create_task(_renew(sandbox, stop))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(sandbox: DrillSandbox, stop: StopSignal) -> None:
    while True:
        await asyncio.sleep(LEASE_S / 5)
        try:
            await sandbox.control.renew_all()
            await sandbox.conditions.renew_all()
        except BackendError as error:
            stop.set(BackendLost(at=time.time(), name="what injects the faults", reason=error.message))


async def _turn_off(use: FaultUse, off: Off) -> None:
    try:
        await off()
    except FaultNotReverted:
        raise
    except TiercliError as error:
        raise FaultNotReverted(f"the fault {use.fault} is still on: {error.message}", hint=error.hint) from error


async def _at_proxy(use: FaultUse, length_s: float, sandbox: DrillSandbox) -> Off:
    applied = await sandbox.control.apply(use.fault, use.target, use.settings)
    return lambda: sandbox.control.clear(applied)


async def _at_gateway(use: FaultUse, length_s: float, sandbox: DrillSandbox) -> Off:
    name = await sandbox.conditions.apply(use.fault, use.target, use.settings)
    return lambda: sandbox.conditions.clear(name)


async def _at_processes(use: FaultUse, length_s: float, sandbox: DrillSandbox) -> Off:
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


async def _by_load(use: FaultUse, length_s: float, sandbox: DrillSandbox) -> Off:
    """A second Locust beside the drill's own, whose calls are those that the target names."""
    surge = FAULTS_BY_NAME[use.fault].settings.model_validate(use.settings)
    number = next(_numbers)
    folder, name = sandbox.sandbox.folder, f"{LOCUST}-{number}"
    windows = folder / f"load-{number}.jsonl"
    load = Load(
        shape="steps",
        arrivals_per_second=surge.calls_per_second,
        steps=_growing(surge.calls_per_second, surge.grows_to or surge.calls_per_second, length_s),
        stream_share=surge.stream_share,
        repeat_share=0,
        mix=Mix(**{_MIX_KEYS[label]: {value: 1.0} for label, value in use.target.items()}),
        prompt_tokens=surge.prompt_tokens,
        max_tokens=surge.max_tokens,
    )
    plan = build_load_plan(
        load,
        sandbox.estate.loaded.catalog,
        base_url=sandbox.sandbox.plan.gateways[0].url,
        windows_file=windows,
        factor=1,
        seed=100 + number,
    )
    process = locust_process(plan, folder / f"load-{number}.json", folder / f"{name}.log", name=name)
    await sandbox.sandbox.warden.start(process)

    async def begun() -> None:
        async for window in tail_windows(windows):
            if window.started:
                return

    try:
        await asyncio.wait_for(begun(), _LOAD_WITHIN_S)
    except BaseException as error:
        # However this wait ends, a load that nobody turns off must not go on.
        await asyncio.shield(sandbox.sandbox.warden.stop(name))
        if isinstance(error, TimeoutError):
            raise BackendError(f"the load of {use.fault} did not start within {_LOAD_WITHIN_S:g} s") from error
        raise
    return lambda: sandbox.sandbox.warden.stop(name)


def _growing(first: float, last: float, length_s: float) -> tuple[LoadStep, ...]:
    """A step a second from `first` to `last`, or one that holds."""
    if first == last:
        return (LoadStep(after="0s", arrivals_per_second=first),)
    count = max(2, int(length_s))
    return tuple(
        LoadStep(after=format_duration(at), arrivals_per_second=first + (last - first) * at / (count - 1))
        for at in range(count)
    )


_APPLY: dict[Injector, _Apply] = {
    "proxy": _at_proxy,
    "gateway": _at_gateway,
    "process": _at_processes,
    "load": _by_load,
}
