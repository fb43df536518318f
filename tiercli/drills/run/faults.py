"""Faults on and off: each an async context manager, so that whatever ends the run also ends its faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tiercli.drills.record.events import BackendLost, FaultApplied, FaultCleared, Observe
from tiercli.drills.run.stopping import StopSignal
from tiercli.drills.sites.interface import DrillSite, Off
from tiercli.drills.spec.model import FaultUse
from tiercli.errors import BackendError, FaultNotReverted, TiercliError
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.proxy.client import LEASE_S


@asynccontextmanager
async def applied_fault(use: FaultUse, length_s: float, site: DrillSite, observe: Observe) -> AsyncIterator[None]:
    """The fault is on inside, for `length_s`. Raises BackendError when it cannot be turned on, FaultNotReverted when not off
    again."""
    began = time.time()  # a command may take long, and the fault be there before it returns
    off = await site.apply(use, length_s, observe)
    if FAULTS_BY_NAME[use.fault].injector == "load":
        began = time.time()  # a load is none before its first calls, which were waited for
    observe(FaultApplied(at=began, fault=use.fault, target=dict(use.target), settings=dict(use.settings)))
    try:
        yield
    finally:
        # Shielded: what cancels the run must not cancel the end of its faults.
        ending = time.time()
        await asyncio.shield(_turn_off(use, off))
        observe(FaultCleared(at=ending, fault=use.fault, target=dict(use.target)))


@asynccontextmanager
async def renewed_leases(site: DrillSite, stop: StopSignal) -> AsyncIterator[None]:
    """Inside, the leases of faults that are on are renewed; a fault that ended by itself stops the run."""
    task = asyncio.create_task(_renew(site, stop))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(site: DrillSite, stop: StopSignal) -> None:
    while True:
        await asyncio.sleep(LEASE_S / 5)
        try:
            await site.renew()
        except BackendError as error:
            stop.set(BackendLost(at=time.time(), name="a lease", reason=error.message))


async def _turn_off(use: FaultUse, off: Off) -> None:
    try:
        await off()
    except FaultNotReverted:
        raise
    except TiercliError as error:
        raise FaultNotReverted(f"the fault {use.fault} is still on: {error.message}", hint=error.hint) from error
