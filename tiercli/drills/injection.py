"""Faults on and off: each an async context manager, so that whatever ends the run also ends its faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tiercli.drills.observation import Observe
from tiercli.drills.spec import FaultUse
from tiercli.drills.timeline import FaultApplied, FaultCleared
from tiercli.errors import FaultNotReverted, TiercliError
from tiercli.faults import FAULTS
from tiercli.faults.control import FaultControl
from tiercli.sandbox.sandbox import Sandbox

_INJECTOR = {kind.name: kind.injector for kind in FAULTS}


@asynccontextmanager
async def applied_fault(
    use: FaultUse, number: int, control: FaultControl, sandbox: Sandbox, observe: Observe
) -> AsyncIterator[None]:
    """The fault is on inside. Raises BackendError when it cannot be turned on, FaultNotReverted when not off again."""
    identity = f"{use.fault}-{number}"
    by_process = _INJECTOR[use.fault] == "process"
    if by_process:
        for name in sandbox.gateway_names:
            await sandbox.stop_process(name)
    else:
        await control.apply(identity, use.fault, use.target, use.settings)
    observe(FaultApplied(at=time.time(), fault=use.fault, target=dict(use.target), settings=dict(use.settings)))
    try:
        yield
    finally:
        await asyncio.shield(_clear(use, identity, by_process, control, sandbox))
        observe(FaultCleared(at=time.time(), fault=use.fault, target=dict(use.target)))


async def _clear(use: FaultUse, identity: str, by_process: bool, control: FaultControl, sandbox: Sandbox) -> None:
    if not by_process:
        await control.clear(identity)
        return
    try:
        for name in sandbox.gateway_names:
            await sandbox.start_process(name)
    except TiercliError as error:
        raise FaultNotReverted(f"the fault {use.fault} is still on: {error.message}", hint=error.hint) from error
