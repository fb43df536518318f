"""A fault with what undoes it: on, off, and in a note on disk for as long as it is on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tiercli.sidecar.actions import INTERRUPTED, Action, Attempt, action_from_json

_FIRST_PAUSE_S = 0.5  # between two tries; each pause is twice the one before


@dataclass(frozen=True, slots=True)
class Step:
    """What turns a fault on in one place, and what turns it off. `off` can be repeated, and does no harm where the fault is off."""

    on: Action
    off: Action


@dataclass(frozen=True, slots=True)
class UndoableFault:
    """A fault for the undoer: its name in messages, its steps, how to undo it by hand, and the secrets to leave out of messages."""

    id: str
    name: str
    steps: tuple[Step, ...]
    by_hand: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """As a message to the undoer."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UndoableFault:
        """From a message."""
        steps = tuple(Step(action_from_json(step["on"]), action_from_json(step["off"])) for step in data["steps"])
        return cls(data["id"], data["name"], steps, data["by_hand"], tuple(data["secrets"]))


class ActiveFault:
    """A fault that is being turned on, is on, or may be."""

    def __init__(self, fault: UndoableFault, begun: Iterable[Step] = ()) -> None:
        """`begun`: the steps that may have to be undone."""
        self.fault = fault
        self.since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        self.failure = ""  # why it could not be turned off
        self.given_up = False  # the drill knows that it could not be turned off; tried again when the drill is over
        self.abandoned = asyncio.Event()  # it is to be off: turning it on stops
        self._begun = list(begun)

    async def turn_on(self) -> str:
        """Why it is not on, "" where it is."""
        for step in self.fault.steps:
            if self.abandoned.is_set():
                return INTERRUPTED
            self._begun.append(step)
            failure = await step.on.perform(Attempt(self.fault.secrets, self.abandoned, self.fault.id))
            if failure:
                return failure
        return ""

    async def turn_off(self) -> bool:
        """Try once to undo what was begun, the last step first; whether that succeeded. Else `failure` says why not."""
        self.failure = ""
        for step in reversed(tuple(self._begun)):
            failure = await step.off.perform(Attempt(self.fault.secrets))
            if failure:
                self.failure = self.failure or failure
            else:
                self._begun.remove(step)
        return not self.failure


async def turn_off_all(faults: Iterable[ActiveFault], tries: int) -> list[ActiveFault]:
    """Turn faults off, in this order; what fails is tried again after the others, `tries` times in all. Those still on."""
    still_on, pause_s = list(faults), _FIRST_PAUSE_S
    for number in range(tries):
        if still_on and number:
            await asyncio.sleep(pause_s)
            pause_s *= 2
        still_on = [fault for fault in still_on if not await fault.turn_off()]
    return still_on


def write_note(note: str, faults: Iterable[ActiveFault]) -> None:
    """List the faults that are on in the file `note`, with what to do by hand; without faults, delete it. Raises OSError."""
    lines = []
    for active in faults:
        why = f" It could not be turned off: {active.failure}" if active.failure else ""
        lines.append(f"{active.fault.name}, since {active.since}.{why}\n    by hand: {active.fault.by_hand}\n")
    if not lines:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(note)  # noqa: PTH108 - importing pathlib takes long
        return
    part = f"{note}.part"
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(
                "Faults that tiercli turned on. This file is deleted when they are off.\n\n" + "\n".join(lines)
            )
        os.replace(part, note)  # noqa: PTH105
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)  # noqa: PTH108
        raise
