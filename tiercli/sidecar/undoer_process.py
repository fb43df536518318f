"""The undoer: turns faults on and off for a drill, and off again when the drill is gone, however it went.

`main` with the argument NOTE reads one JSON command a line on standard input and answers on standard output. It knows how to
undo a fault before it turns it on. When the input ends (the drill is over, or was killed), or the drill does not renew, it undoes
what is on, the newest first. While a fault is on, the file NOTE lists it, and what to do by hand.

    {"do": "on", "fault": {…}}  →  {"id": …, "on": ""}: it is on; else why not, and "left": why it may be on all the same
    {"do": "off", "id": …}      →  {"id": …, "off": ""}: it is off; else why it may still be on
    {"do": "renew"}             →  {"ended": [a sentence for each fault that was not renewed: is it off, or may it be on]}

Secrets come over the pipe only. No message contains them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from tiercli.sidecar.undoable_fault import ActiveFault, UndoableFault, turn_off_all, write_note

LEASE_S = 5.0  # without a message for this long, the drill is over
TRIES = 3  # to turn a fault off while the drill waits for it
TRIES_ALONE = 7  # without a drill: over half a minute, and what the tries themselves take
_LINE_BYTES = 1 << 24
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class UndoerProcess:
    """Faults by their id, the oldest first; one is turned on or off at a time."""

    def __init__(self, note: str) -> None:
        self._note = note
        self._faults: dict[str, ActiveFault] = {}
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._expired: list[str] = []
        self._message_at = time.monotonic()
        self._drill_is_over = asyncio.Event()

    async def serve(self) -> int:
        """Obey until the input ends, then undo everything. How many faults may still be on."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        reader = asyncio.StreamReader(limit=_LINE_BYTES)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        watching = asyncio.create_task(self._watch())
        while (line := await reader.readline()).endswith(b"\n"):
            self._obey(json.loads(line))
        self._drill_is_over.set()
        for fault in self._faults.values():
            fault.abandoned.set()
        await asyncio.gather(watching, *self._tasks)
        async with self._changing:
            await self._turn_off(list(self._faults.values()), "the drill is over")
        return len(self._faults)

    def _on_signal(self) -> None:
        """A signal may be meant for this process and the drill; while a fault is on, or may be, it changes nothing."""
        if not self._faults and not self._changing.locked():
            os._exit(0)

    def _obey(self, command: Mapping[str, Any]) -> None:
        self._message_at = time.monotonic()
        if command["do"] == "renew":
            expired, self._expired = self._expired, []
            _send(ended=expired)
            return
        if command["do"] == "on":
            fault = ActiveFault(UndoableFault.from_json(command["fault"]))
            self._faults[fault.fault.id] = fault
            task = asyncio.create_task(self._turn_on(fault))
        else:
            if command["id"] in self._faults:
                self._faults[command["id"]].abandoned.set()
            task = asyncio.create_task(self._turn_off_one(command["id"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _turn_on(self, fault: ActiveFault) -> None:
        fault_id = fault.fault.id
        async with self._changing:
            try:
                write_note(self._note, self._faults.values())
            except OSError as error:  # nobody would find what to undo
                del self._faults[fault_id]
                _send(id=fault_id, on=f"cannot write {self._note}: {error.strerror}", left="")
                return
            failure = await fault.turn_on()
            if failure:
                await self._turn_off([fault])
            _send(id=fault_id, on=failure, left=fault.failure)

    async def _turn_off_one(self, fault_id: str) -> None:
        async with self._changing:
            fault = self._faults.get(fault_id)
            if fault is not None:
                await self._turn_off([fault])
            _send(id=fault_id, off=fault.failure if fault is not None else "")

    async def _watch(self) -> None:
        """Undo everything once the lease ends, what is being turned on too: a drill that waits for that renews meanwhile."""
        while not self._drill_is_over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drill_is_over.wait(), LEASE_S / 20)
            late = time.monotonic() > self._message_at + LEASE_S
            faults = [fault for fault in self._faults.values() if not fault.given_up]
            if late and faults:
                for fault in faults:
                    fault.abandoned.set()
                async with self._changing:
                    faults = [fault for fault in faults if self._faults.get(fault.fault.id) is fault]
                    await self._turn_off(faults, f"no renewal for {LEASE_S:g} s")
                    for fault in faults:
                        outcome = f"may still be on: {fault.failure}" if fault.failure else "was turned off"
                        self._expired.append(f"{fault.fault.name} {outcome}")

    async def _turn_off(self, faults: list[ActiveFault], alone: str = "") -> None:
        """The newest first. `alone`: why no drill waits for it; what could not be undone is then printed here."""
        still_on = await turn_off_all(reversed(faults), TRIES_ALONE if alone else TRIES)
        for fault in faults:
            if fault not in still_on:
                if alone and fault.given_up:
                    _warn(f"{fault.fault.name} is off after all")
                self._faults.pop(fault.fault.id, None)
        for fault in still_on:
            fault.given_up = True
            if alone:
                name, by_hand = fault.fault.name, fault.fault.by_hand
                _warn(f"{alone}, and {name} may still be on: {fault.failure}\n    by hand: {by_hand}")
        with contextlib.suppress(OSError):
            write_note(self._note, self._faults.values())


def _send(**message: object) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more; the end of input follows
        os.write(1, json.dumps(message).encode() + b"\n")


def _warn(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"tiercli: {text}\n".encode())


def main() -> None:
    """Serve until the drill is over. Exit code 4 where a fault may still be on."""
    still_on = asyncio.run(UndoerProcess(sys.argv[1]).serve())
    os._exit(4 if still_on else 0)  # an HTTP request that hangs must not delay this
