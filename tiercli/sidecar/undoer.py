"""The drill's side of the undoer: starts it, tells it, and does its work where it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tiercli.errors import BackendError, FaultNotReverted
from tiercli.sidecar.actions import end_marked
from tiercli.sidecar.kept_fault import FaultOn, KeptFault, turn_off_all, write_note
from tiercli.sidecar.undoer_process import LEASE_S, TRIES

_ENDED_WITHIN_S = 10.0
_BEYOND_S = 15.0  # what an answer may take beyond all that is asked for
_LATE_S = 1.0
# Isolated and without site packages, as the supervisor; the folder that tiercli lies in comes last, for tiercli alone.
_BOOT = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module({!r}, run_name='__main__', alter_sys=True)"
)
_COMMAND = (sys.executable, "-I", "-S", "-c", _BOOT.format("tiercli.sidecar.undoer_process"))
_ROOT = Path(__file__).resolve().parents[2]

_going_on: list[subprocess.Popen[bytes]] = []  # Python would complain of those that it forgets


class Undoer:
    """One undoer process. Not a context manager: however the drill ends, the undoer sees the end of its input."""

    def __init__(self, note: Path) -> None:
        """`note`: the file that says what is on, while something is."""
        self._note = note
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: asyncio.WriteTransport | None = None
        self._said: asyncio.ReadTransport | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._answers: dict[tuple[str, str], asyncio.Future[Mapping[str, Any]]] = {}
        self._faults: dict[str, KeptFault] = {}
        self._ended: list[str] = []  # what the undoer said became of faults that nobody renewed
        self._not_on: dict[str, str] = {}  # by fault that may be on all the same, what went wrong first
        self._died = False
        self._rescued: asyncio.Future[dict[str, FaultOn]] = asyncio.get_running_loop().create_future()
        self._closing = False

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start it. Raises BackendError."""
        loop = asyncio.get_running_loop()
        try:
            self._note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not asyncio's own: that kills a child whose event loop ends before it.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                [*_COMMAND, str(_ROOT), str(self._note)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C and a killed process group reach the drill, not the undoer
            )
        except OSError as error:
            raise BackendError(f"cannot start the process that keeps the faults: {error}") from error
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        self._said, _ = await loop.connect_read_pipe(lambda: protocol, self._process.stdout)
        self._pipe, _ = await loop.connect_write_pipe(asyncio.Protocol, self._process.stdin)
        self._hearing = asyncio.create_task(self._hear(reader))

    async def turn_on(self, fault: KeptFault) -> None:
        """Turn a fault on; from then on the undoer undoes it. Raises BackendError where it is not on, FaultNotReverted where it
        could not be turned on and may be on all the same."""
        self._faults[fault.id] = fault
        try:
            async with self._renewing():
                answer = await self._ask(("on", fault.id), {"do": "on", "fault": fault.as_json()})
        except BackendError:
            one = (await asyncio.shield(self._rescued)).get(fault.id)
            if one is not None:
                raise self._not_reverted(fault, one.left) from None
            raise
        if not answer["on"]:
            return
        if answer["left"]:
            self._not_on[fault.id] = f"turning it on failed ({answer['on']}), and so did undoing it: "
            raise self._not_reverted(fault, answer["left"])
        self._faults.pop(fault.id, None)
        raise BackendError(f"{fault.name} could not be turned on: {answer['on']}")

    async def turn_off(self, name: str) -> None:
        """Turn a fault off, by its id; one that is off is as good. Raises FaultNotReverted."""
        fault = self._faults.get(name)
        if fault is None:
            return
        try:
            async with self._renewing():
                left = str((await self._ask(("off", name), {"do": "off", "id": name}))["off"])
        except BackendError:  # it died, and what it kept is turned off here
            one = (await asyncio.shield(self._rescued)).get(name)
            left = one.left if one is not None and await turn_off_all([one], TRIES) else ""
        if left:
            raise self._not_reverted(fault, left)
        self._faults.pop(name, None)
        if self._died:
            self._rescued.result().pop(name, None)
            self._keep_noted(self._rescued.result())

    async def renew(self) -> None:
        """Begin every lease anew. Raises BackendError where the undoer has ended, or a fault has."""
        await self._ask(("renew", ""), {"do": "renew"})
        ended, self._ended = self._ended, []
        if ended:
            raise BackendError(f"nobody renewed for {LEASE_S:g} s: {'; '.join(ended)}")

    async def close(self) -> None:
        """End it. What is still on it goes on undoing, and that is not waited for."""
        self._closing = True
        if self._process is None or self._pipe is None or self._said is None or self._hearing is None:
            return
        self._pipe.close()
        if self._died:
            await asyncio.shield(self._rescued)
        if not self._faults or self._died:
            await asyncio.wait({self._hearing}, timeout=_ENDED_WITHIN_S)
            self._process.kill()
            self._process.wait()
        else:
            _going_on.append(self._process)
        self._hearing.cancel()
        await asyncio.gather(self._hearing, return_exceptions=True)
        self._said.close()

    @asynccontextmanager
    async def _renewing(self) -> AsyncIterator[None]:
        """Whoever waits inside is alive, however long the undoer takes."""
        task = asyncio.create_task(self._renew_for_ever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 5)
            await self._ask(("renew", ""), {"do": "renew"})  # what it says has ended, the next `renew` tells

    async def _ask(self, key: tuple[str, str], message: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._died or self._pipe is None:
            raise self._gone()
        if key not in self._answers:
            self._answers[key] = asyncio.get_running_loop().create_future()
            self._pipe.write(json.dumps(message).encode() + b"\n")
        answer = self._answers[key]
        # Twice: where this process itself was stopped, the answer has come and was not read yet.
        for limit_s in (self._limit_s(key[0]), _LATE_S):
            await asyncio.wait({answer}, timeout=limit_s)
            if answer.done():
                return answer.result()
        # It is stopped, or hangs: killed, so that its faults can be turned off here.
        if self._process is not None:
            self._process.kill()
        raise BackendError("the process that keeps the faults does not answer: the drill turns them off itself")

    def _limit_s(self, what: str) -> float:
        if what == "renew":
            return LEASE_S
        steps = [step for fault in self._faults.values() for step in fault.steps]
        return _BEYOND_S + sum(step.on.within_s + TRIES * step.off.within_s for step in steps)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            said = json.loads(line)
            what = next(kind for kind in ("on", "off", "ended") if kind in said)
            key = ("renew", "") if what == "ended" else (what, str(said["id"]))
            self._ended += said.get("ended", ())
            answer = self._answers.pop(key, None)
            if answer is not None and not answer.done():
                answer.set_result(said)
        if not self._closing:
            await self._rescue()

    async def _rescue(self) -> None:
        """The undoer died: what it had begun ends, and what it kept is turned off, at once."""
        self._died = True
        for what, name in self._answers:
            if what == "on":
                end_marked(name)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._gone())
                answer.exception()  # whoever asked may have stopped waiting
        self._answers.clear()
        kept = [FaultOn(fault, fault.steps) for fault in reversed(self._faults.values())]
        left = await turn_off_all(kept, TRIES)
        for one in kept:
            if one not in left:
                self._faults.pop(one.fault.id, None)
        self._rescued.set_result({one.fault.id: one for one in left})
        self._keep_noted(self._rescued.result())

    def _keep_noted(self, left: Mapping[str, FaultOn]) -> None:
        with contextlib.suppress(OSError):
            write_note(str(self._note), left.values())

    def _gone(self) -> BackendError:
        return BackendError("the process that keeps the faults has died: the drill turns them off itself")

    def _not_reverted(self, fault: KeptFault, why: str) -> FaultNotReverted:
        said = f"{fault.name} may still be on: {self._not_on.get(fault.id, '')}{why}"
        return FaultNotReverted(said, hint=f"by hand: {fault.by_hand}")
