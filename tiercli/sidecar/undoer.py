"""The drill's side of the undoer: starts it, asks it to turn faults on and off, and does its work where it dies."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tiercli.errors import BackendError, FaultNotReverted
from tiercli.sidecar.actions import FAULT_ID
from tiercli.sidecar.pipe import Key, Sidecar
from tiercli.sidecar.processes import kill_marked
from tiercli.sidecar.undoable_fault import ActiveFault, UndoableFault, turn_off_all, write_note
from tiercli.sidecar.undoer_process import LEASE_S, TRIES

_BEYOND_S = 15.0  # what an answer may take beyond the limits of the actions that it waits for
_LATE_S = 1.0

_going_on: list[subprocess.Popen[bytes]] = []  # Python would warn of those that it forgets


class Undoer(Sidecar):
    """One undoer process. Not a context manager: it undoes its faults however the drill ends."""

    MODULE = "tiercli.sidecar.undoer_process"
    NAME = "the undoer of faults"

    def __init__(self, note: Path) -> None:
        """`note`: the file that lists what is on, while something is."""
        super().__init__()
        self._note = note
        self._faults: dict[str, UndoableFault] = {}
        self._expired: list[str] = []  # a sentence for each fault that was not renewed
        self._first_failures: dict[str, str] = {}  # of faults that failed to turn on and may be on all the same
        self._rescued: asyncio.Future[dict[str, ActiveFault]] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start it. Raises BackendError."""
        try:
            self._note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BackendError(f"cannot start {self.NAME}: {error}") from error
        await self._launch(str(self._note))

    async def turn_on(self, fault: UndoableFault) -> None:
        """Turn a fault on; from then on the undoer undoes it. Raises BackendError where it is not on, FaultNotReverted where it
        could not be turned on and may be on all the same."""
        self._faults[fault.id] = fault
        try:
            answer = await self._ask_renewing(("on", fault.id), {"do": "on", "fault": fault.as_json()})
        except BackendError:
            active = (await asyncio.shield(self._rescued)).get(fault.id)
            if active is not None:
                raise self._not_reverted(fault, active.failure) from None
            raise
        if not answer["on"]:
            return
        if answer["left"]:
            self._first_failures[fault.id] = f"turning it on failed ({answer['on']}), and so did undoing it: "
            raise self._not_reverted(fault, answer["left"])
        self._faults.pop(fault.id, None)
        raise BackendError(f"{fault.name} could not be turned on: {answer['on']}")

    async def turn_off(self, fault_id: str) -> None:
        """Turn a fault off; nothing where it is off already. Raises FaultNotReverted."""
        fault = self._faults.get(fault_id)
        if fault is None:
            return
        try:
            failure = str((await self._ask_renewing(("off", fault_id), {"do": "off", "id": fault_id}))["off"])
        except BackendError:  # the undoer died, and the drill turns its faults off
            active = (await asyncio.shield(self._rescued)).get(fault_id)
            failure = active.failure if active is not None and await turn_off_all([active], TRIES) else ""
        if failure:
            raise self._not_reverted(fault, failure)
        self._faults.pop(fault_id, None)
        if self._died:
            self._rescued.result().pop(fault_id, None)
            self._write_note()

    async def renew(self) -> None:
        """Renew every lease. Raises BackendError where the undoer has ended, or a fault has."""
        await self._renew()
        expired, self._expired = self._expired, []
        if expired:
            raise BackendError(f"no renewal for {LEASE_S:g} s: {'; '.join(expired)}")

    async def close(self) -> None:
        """End it. While a fault is still on, it goes on undoing; that is not waited for."""
        self._closing = True
        if self._process is None:
            return
        if self._died:
            await asyncio.shield(self._rescued)
        if not self._faults or self._died:
            await self._end()
        else:
            _going_on.append(self._process)
            self._input.close()
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._output.close()

    async def _ask_renewing(self, key: Key, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer, however long the undoer takes: the drill that waits for it is alive."""
        async with self._renewing():
            return await self._ask_within(key, message, self._limit_s())

    @asynccontextmanager
    async def _renewing(self) -> AsyncIterator[None]:
        async def renew_for_ever() -> None:
            while True:
                await asyncio.sleep(LEASE_S / 5)
                await self._renew()  # the next `renew` reports what has expired

        task = asyncio.create_task(renew_for_ever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _renew(self) -> None:
        await self._ask_within(("renew", ""), {"do": "renew"}, LEASE_S)

    async def _ask_within(self, key: Key, message: Mapping[str, Any], limit_s: float) -> Mapping[str, Any]:
        try:
            # The second limit: where this process itself was stopped, the answer is in the pipe and not read yet.
            answer: Mapping[str, Any] = await self._ask(key, message, (limit_s, _LATE_S))
        except TimeoutError:
            if self._process is not None:  # it is stopped, or hangs: killed, so that its faults can be turned off here
                self._process.kill()
            raise BackendError(f"{self.NAME} does not answer: the drill turns them off itself") from None
        return answer

    def _limit_s(self) -> float:
        steps = [step for fault in self._faults.values() for step in fault.steps]
        return _BEYOND_S + sum(step.on.within_s + TRIES * step.off.within_s for step in steps)

    def _receive(self, message: Mapping[str, Any]) -> None:
        if "ended" in message:
            self._expired += message["ended"]
            self._answer(("renew", ""), message)
        else:
            self._answer(("on" if "on" in message else "off", str(message["id"])), message)

    async def _clean_up(self, pending: Sequence[Key]) -> None:
        """What the undoer had begun is ended, and all its faults are turned off at once."""
        for action, fault_id in pending:
            if action == "on":
                kill_marked(FAULT_ID, fault_id)
        active = [ActiveFault(fault, fault.steps) for fault in reversed(self._faults.values())]
        still_on = {fault.fault.id: fault for fault in await turn_off_all(active, TRIES)}
        for fault in active:
            if fault.fault.id not in still_on:
                self._faults.pop(fault.fault.id, None)
        self._rescued.set_result(still_on)
        self._write_note()

    def _write_note(self) -> None:
        with contextlib.suppress(OSError):
            write_note(str(self._note), self._rescued.result().values())

    def _gone(self) -> BackendError:
        return BackendError(f"{self.NAME} has died: the drill turns them off itself")

    def _not_reverted(self, fault: UndoableFault, why: str) -> FaultNotReverted:
        message = f"{fault.name} may still be on: {self._first_failures.get(fault.id, '')}{why}"
        return FaultNotReverted(message, hint=f"by hand: {fault.by_hand}")
