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
    """What turns a fault on somewhere, and what turns it off. `off` can be repeated, and does no harm where nothing is on."""

    on: Action
    off: Action


@dataclass(frozen=True, slots=True)
class KeptFault:
    """A fault to keep: a sentence for it, its steps, how it is undone by hand, and what must not be said of it."""

    id: str
    name: str
    steps: tuple[Step, ...]
    by_hand: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """What goes over the undoer's pipe."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KeptFault:
        """What came over it."""
        steps = tuple(Step(action_from_json(step["on"]), action_from_json(step["off"])) for step in data["steps"])
        return cls(data["id"], data["name"], steps, data["by_hand"], tuple(data["secrets"]))


class FaultOn:
    """A fault that is being turned on, is on, or may be."""

    def __init__(self, fault: KeptFault, begun: Iterable[Step] = ()) -> None:
        """`begun`: the steps that may have to be undone."""
        self.fault = fault
        self.since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        self.left = ""  # why it could not be turned off
        self.given_up = False  # for as long as whoever wants it off lives, and knows that it is not
        self.abandoned = asyncio.Event()  # it is to be off: no use in going on
        self._begun = list(begun)

    async def turn_on(self) -> str:
        """Why it is not on, "" where it is."""
        for step in self.fault.steps:
            if self.abandoned.is_set():
                return INTERRUPTED
            self._begun.append(step)
            said = await step.on.perform(Attempt(self.fault.secrets, self.abandoned, self.fault.id))
            if said:
                return said
        return ""

    async def turn_off(self) -> bool:
        """One try to undo what was begun, the last step first. `left` says why where that failed."""
        self.left = ""
        for step in reversed(tuple(self._begun)):
            said = await step.off.perform(Attempt(self.fault.secrets))
            if said:
                self.left = self.left or said
            else:
                self._begun.remove(step)
        return not self.left


async def turn_off_all(faults: Iterable[FaultOn], tries: int) -> list[FaultOn]:
    """Turn faults off, in this order; what fails is tried again after the others, `tries` times in all. What is left."""
    left, pause_s = list(faults), _FIRST_PAUSE_S
    for number in range(tries):
        if left and number:
            await asyncio.sleep(pause_s)
            pause_s *= 2
        left = [one for one in left if not await one.turn_off()]
    return left


def write_note(note: str, faults: Iterable[FaultOn]) -> None:
    """Write what is on into the file `note`, and what to do by hand; nothing is on: no file. Raises OSError."""
    lines = []
    for one in faults:
        why = f" It could not be turned off: {one.left}" if one.left else ""
        lines.append(f"{one.fault.name}, since {one.since}.{why}\n    by hand: {one.fault.by_hand}\n")
    if not lines:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(note)  # noqa: PTH108 - no pathlib: it is dear to import
        return
    part = f"{note}.part"
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write("Faults that tiercli turned on. This file goes when they are off.\n\n" + "\n".join(lines))
        os.replace(part, note)  # noqa: PTH105
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)  # noqa: PTH108
        raise
