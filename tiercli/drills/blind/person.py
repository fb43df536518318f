"""A person answers: lines from standard input, whether somebody types them or a pipe gives them, while the drill goes on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from tiercli.drills.blind.answer import MEANING, Answer, Culprit, parse_answer
from tiercli.drills.blind.rounds import TARGET_S
from tiercli.drills.blind.seen import Moment
from tiercli.drills.blind.stage import Stage
from tiercli.errors import InvalidInput

_MINUTE_S = 60.0
_AT_ONCE = 4096
HELP = "?"


class LineReader:
    """Lines of a file descriptor, read without a thread: Ctrl-C must not wait for Enter."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._ended = False

    async def line(self) -> str | None:
        """The next line, or None at the end."""
        while b"\n" not in self._rest and not self._ended:
            await self._readable()
            piece = os.read(self._descriptor, _AT_ONCE)
            self._rest += piece
            self._ended = not piece
        line, newline, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").strip() if line or newline else None

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except PermissionError:
            return  # a plain file: never blocks
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)


class Person:
    """Asks on `say`, and takes what `lines` give; what is no answer is asked again. `waits`: for Enter before each fault, so that
    somebody at a terminal can open the dashboards first."""

    def __init__(
        self, lines: LineReader, known: Sequence[Culprit], say: Callable[[str], None], *, waits: bool = False
    ) -> None:
        self._waits = waits
        self._lines = lines
        self._known = known
        self._say = say

    async def ready(self, stage: Stage) -> None:
        """When somebody says so."""
        if self._waits:
            self._say("all is well; look around, and press Enter when something may go wrong")
            await stage.race(self._lines.line())

    async def answer(self, stage: Stage, before: Moment) -> Answer | None:
        """The first line that is an answer, or None at the end of input."""
        self._say(
            f"something is wrong, and the clock runs: {TARGET_S:g} s. Answer with KIND CULPRIT ({HELP} lists them):"
        )
        clock = asyncio.create_task(self._clock())
        try:
            while (line := await stage.race(self._lines.line())) is not None:
                if line in ("", HELP):
                    for text in vocabulary(self._known):
                        self._say(text)
                    continue
                try:
                    return parse_answer(line, self._known)
                except InvalidInput as error:
                    for problem in error.problems:
                        self._say(str(problem))
            return None
        finally:
            clock.cancel()

    async def _clock(self) -> None:
        for minute in range(1, 1000):
            await asyncio.sleep(_MINUTE_S)
            late = ", late from here on" if minute * _MINUTE_S == TARGET_S else ""
            self._say(f"{minute} min{late}")


class Given:
    """An answer that was given beforehand."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def ready(self, stage: Stage) -> None:
        """At once."""

    async def answer(self, stage: Stage, before: Moment) -> Answer | None:
        """That answer, at once."""
        return self._answer


def vocabulary(known: Sequence[Culprit], most: int = 60) -> list[str]:
    """The kinds and the culprits that an answer can name, as lines."""
    width = max(len(kind.value) for kind in MEANING)
    shown = [str(culprit) for culprit in known[:most]] + (["…"] if len(known) > most else [])
    return [
        "kinds:",
        *(f"  {kind.value:<{width}}  {message}" for kind, message in MEANING.items()),
        "culprits:",
        f"  {', '.join(shown)}",
    ]
