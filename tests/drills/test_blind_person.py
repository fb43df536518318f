"""A person answers through a pipe or a file: what is typed, what is told, and what is asked again."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.blind.answer import Answer, Kind, culprits_of, place
from tiercli.drills.blind.person import LineReader, Person
from tiercli.drills.blind.stage import Stage

T = TypeVar("T")
ERRORS = Answer(Kind.ERRORS, place("anthropic", "ap-south-1"))


class FakeStage:
    """Stands for a stage that nothing stops."""

    async def race(self, work: Awaitable[T]) -> T:
        return await work


def asked(
    descriptor: int, hybrid: LoadedCatalog, beside: Coroutine[Any, Any, None] | None = None
) -> tuple[Answer | None, list[str]]:
    told: list[str] = []

    async def scenario() -> Answer | None:
        person = Person(LineReader(descriptor), culprits_of(hybrid.catalog), told.append)
        task = asyncio.create_task(beside) if beside is not None else None
        answer = await person.answer(cast(Stage, FakeStage()), {})
        if task is not None:
            await task
        return answer

    return asyncio.run(scenario()), told


def piped(text: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    return reading


def test_a_line_through_a_pipe_is_the_answer(hybrid: LoadedCatalog) -> None:
    answer, told = asked(piped(b"errors anthropic/ap-south-1\nslow openai\n"), hybrid)
    assert answer == ERRORS
    assert "180 s" in told[0]


def test_a_line_that_comes_in_pieces_and_late_is_waited_for(hybrid: LoadedCatalog) -> None:
    reading, writing = os.pipe()

    async def slowly() -> None:
        for piece in (b"errors anthr", b"opic/ap-south-1", b"\n"):
            await asyncio.sleep(0.01)
            os.write(writing, piece)

    answer, _ = asked(reading, hybrid, slowly())
    os.close(writing)
    assert answer == ERRORS


def test_the_last_line_needs_no_newline_and_a_file_does_too(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    (tmp_path / "answer").write_bytes(b"errors anthropic/ap-south-1")
    with (tmp_path / "answer").open("rb") as stream:
        answer, _ = asked(stream.fileno(), hybrid)
    assert answer == ERRORS


def test_what_is_no_answer_is_asked_again_and_help_lists_what_can_be_said(hybrid: LoadedCatalog) -> None:
    answer, told = asked(piped(b"?\neror anthropic\nerrors nobody\nerrors anthropic/ap-south-1\n"), hybrid)
    assert answer == ERRORS
    text = "\n".join(told)
    assert all(kind.value in text for kind in Kind)
    assert "tenant acme-corp" in text
    assert "did you mean 'errors'" in text
    assert "unknown culprit 'nobody'" in text


def test_at_a_terminal_nothing_goes_wrong_before_enter(hybrid: LoadedCatalog) -> None:
    keyboard, terminal = pty.openpty()
    told: list[str] = []

    async def scenario() -> Answer | None:
        person = Person(LineReader(terminal), culprits_of(hybrid.catalog), told.append, waits=True)
        stage = cast(Stage, FakeStage())
        waiting = asyncio.create_task(person.ready(stage))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        os.write(keyboard, b"\n")
        await waiting
        os.write(keyboard, b"errors anthropic/ap-south-1\n")
        return await person.answer(stage, {})

    assert asyncio.run(scenario()) == ERRORS
    assert "press Enter" in told[0]


def test_the_end_of_input_is_no_answer(hybrid: LoadedCatalog) -> None:
    assert asked(piped(b"eror\n"), hybrid)[0] is None
    assert asked(piped(b""), hybrid)[0] is None
