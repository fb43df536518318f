"""The undoer: turns faults on and off for a drill, and off again when the drill is gone, however it went.

`process.py NOTE` reads one JSON command a line on standard input and answers on standard output. How a fault is undone is known
here before it is turned on. When the input ends (the drill is over, or was killed), or nobody renews, it undoes what is on, the
newest first. For as long as something is on, the file NOTE says what, and what to do by hand.

    {"do": "on", "fault": {…}}  →  {"id": …, "on": ""}: it is on; else why it is not, and "left": why it may be all the same
    {"do": "off", "id": …}      →  {"id": …, "off": ""}: it is off; else why it may still be on
    {"do": "renew"}             →  {"ended": [what became of the faults that nobody renewed, a sentence each]}

Secrets come over the pipe only, and are in nothing that it says.
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

from tiercli.sidecar.kept_fault import FaultOn, KeptFault, turn_off_all, write_note

LEASE_S = 5.0  # how long a drill may be silent
TRIES = 3  # to turn a fault off while the drill waits for it
TRIES_ALONE = 7  # when it does not: over half a minute, and what the tries themselves take
_LINE_BYTES = 1 << 24
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class UndoerProcess:
    """Faults by their id, the oldest first; one is turned on or off at a time."""

    def __init__(self, note: str) -> None:
        self._note = note
        self._faults: dict[str, FaultOn] = {}
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[str] = []
        self._heard_at = time.monotonic()
        self._alone = asyncio.Event()

    async def serve(self) -> int:
        """Obey until the input ends, then undo everything; how many faults could not be."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        reader = asyncio.StreamReader(limit=_LINE_BYTES)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        watching = asyncio.create_task(self._watch())
        while (line := await reader.readline()).endswith(b"\n"):
            self._obey(json.loads(line))
        self._alone.set()
        for one in self._faults.values():
            one.abandoned.set()
        await asyncio.gather(watching, *self._tasks)
        async with self._changing:
            await self._turn_off(list(self._faults.values()), "the drill is over")
        return len(self._faults)

    def _on_signal(self) -> None:
        """Whoever ends the drill may mean this process too; but not while something is on, or may be."""
        if not self._faults and not self._changing.locked():
            os._exit(0)

    def _obey(self, message: Mapping[str, Any]) -> None:
        self._heard_at = time.monotonic()
        if message["do"] == "renew":
            ended, self._ended = self._ended, []
            _say(ended=ended)
            return
        if message["do"] == "on":
            one = FaultOn(KeptFault.from_json(message["fault"]))
            self._faults[one.fault.id] = one
            task = asyncio.create_task(self._asked_on(one))
        else:
            if message["id"] in self._faults:
                self._faults[message["id"]].abandoned.set()
            task = asyncio.create_task(self._asked_off(message["id"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _asked_on(self, one: FaultOn) -> None:
        name = one.fault.id
        async with self._changing:
            try:
                write_note(self._note, self._faults.values())
            except OSError as error:  # nobody would find what to undo
                del self._faults[name]
                _say(id=name, on=f"cannot write {self._note}: {error.strerror}", left="")
                return
            said = await one.turn_on()
            if said:
                await self._turn_off([one])
            _say(id=name, on=said, left=one.left)

    async def _asked_off(self, name: str) -> None:
        async with self._changing:
            one = self._faults.get(name)
            if one is not None:
                await self._turn_off([one])
            _say(id=name, off=one.left if one is not None else "")

    async def _watch(self) -> None:
        """Undo everything once nobody renews: what is under way too, as a drill that waits for it renews meanwhile."""
        while not self._alone.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._alone.wait(), LEASE_S / 20)
            late = time.monotonic() > self._heard_at + LEASE_S
            faults = [one for one in self._faults.values() if not one.given_up]
            if late and faults:
                for one in faults:
                    one.abandoned.set()
                async with self._changing:
                    faults = [one for one in faults if self._faults.get(one.fault.id) is one]
                    await self._turn_off(faults, f"nobody renewed for {LEASE_S:g} s")
                    for one in faults:
                        became = f"may still be on: {one.left}" if one.left else "was turned off"
                        self._ended.append(f"{one.fault.name} {became}")

    async def _turn_off(self, faults: list[FaultOn], alone: str = "") -> None:
        """The newest first. `alone`: why nobody waits for it; what could not be undone is said here then."""
        left = await turn_off_all(reversed(faults), TRIES_ALONE if alone else TRIES)
        for one in faults:
            if one not in left:
                if alone and one.given_up:
                    _warn(f"{one.fault.name} is off after all")
                self._faults.pop(one.fault.id, None)
        for one in left:
            one.given_up = True
            if alone:
                _warn(f"{alone}, and {one.fault.name} may still be on: {one.left}\n    by hand: {one.fault.by_hand}")
        with contextlib.suppress(OSError):
            write_note(self._note, self._faults.values())


def _say(**message: object) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more; the end of input follows
        os.write(1, json.dumps(message).encode() + b"\n")


def _warn(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"tiercli: {text}\n".encode())


def main() -> None:
    """Serve until the drill is over. Exit code 4 where a fault may still be on."""
    left = asyncio.run(UndoerProcess(sys.argv[1]).serve())
    os._exit(4 if left else 0)  # an HTTP request that hangs must not hold this up


if __name__ == "__main__":
    main()
