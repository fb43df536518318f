"""Faults on and off: each an async context manager, so that whatever ends the run also ends its faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tiercli.drills.observation import Observe
from tiercli.drills.spec import FaultUse
from tiercli.drills.stopping import StopSignal
from tiercli.drills.timeline import BackendLost, FaultApplied, FaultCleared
from tiercli.errors import BackendError, FaultNotReverted, TiercliError
from tiercli.faults import FAULTS_BY_NAME
from tiercli.faults.control import LEASE_S, AppliedFault, FaultControl
from tiercli.sandbox.sandbox import Sandbox


@asynccontextmanager
async def applied_fault(
    use: FaultUse, control: FaultControl, sandbox: Sandbox, observe: Observe
) -> AsyncIterator[None]:
    """The fault is on inside. Raises BackendError when it cannot be turned on, FaultNotReverted when not off again."""
    applied = None
    if FAULTS_BY_NAME[use.fault].injector == "process":
        for name in sandbox.gateway_names:
            await sandbox.stop_process(name)
    else:
        applied = await control.apply(use.fault, use.target, use.settings)
    observe(FaultApplied(at=time.time(), fault=use.fault, target=dict(use.target), settings=dict(use.settings)))
    try:
        yield
    finally:
        # Shielded: what cancels the run must not cancel the end of its faults.
        await asyncio.shield(_clear(use, applied, control, sandbox))
        observe(FaultCleared(at=time.time(), fault=use.fault, target=dict(use.target)))


@asynccontextmanager
async def renewed_leases(control: FaultControl, stop: StopSignal) -> AsyncIterator[None]:
    """Inside, the leases of faults that are on are renewed; a fault that ended by itself stops the run."""
    task = asyncio.create_task(_renew(control, stop))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(control: FaultControl, stop: StopSignal) -> None:
    while True:
        await asyncio.sleep(LEASE_S / 5)
        try:
            await control.renew_all()
        except BackendError as error:
            stop.set(BackendLost(at=time.time(), name="the fault proxy", reason=error.message))


async def _clear(use: FaultUse, applied: AppliedFault | None, control: FaultControl, sandbox: Sandbox) -> None:
    if applied is not None:
        await control.clear(applied)
        return
    try:
        for name in sandbox.gateway_names:
            await sandbox.start_process(name)
    except TiercliError as error:
        raise FaultNotReverted(f"the fault {use.fault} is still on: {error.message}", hint=error.hint) from error
