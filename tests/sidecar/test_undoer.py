"""The undoer and a drill that waits for it, is stopped meanwhile, or comes back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.environment.stands import eventually
from tiercli.errors import BackendError
from tiercli.sidecar.actions import Command
from tiercli.sidecar.undoable_fault import Step, UndoableFault
from tiercli.sidecar.undoer import Undoer
from tiercli.sidecar.undoer_process import LEASE_S


def test_a_drill_that_was_stopped_while_it_waited_hears_the_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        undoer = Undoer(tmp_path / "note")
        await undoer.start()
        renewed = asyncio.create_task(undoer.renew())
        await asyncio.sleep(0)  # it has asked
        time.sleep(LEASE_S + 0.5)  # noqa: ASYNC251 - nothing here runs, as when the process is stopped
        await renewed
        await undoer.close()

    asyncio.run(scenario())


def kept(folder: Path, name: str, script: str) -> UndoableFault:
    """A fault that is on while the file of its name is there."""
    off = Command(("rm", "-f", name), str(folder), 20)
    return UndoableFault(name, name, (Step(Command(("sh", "-c", script), str(folder), 600), off),), "by hand")


def test_a_drill_that_is_stopped_while_a_slow_command_runs_keeps_no_fault_on_and_learns_of_it(tmp_path: Path) -> None:
    """The command is ended at once, else what is on already would stay on until it is done."""

    async def scenario() -> None:
        undoer = Undoer(tmp_path / "note")
        await undoer.start()
        await undoer.turn_on(kept(tmp_path, "down", "touch down"))
        slow = asyncio.create_task(undoer.turn_on(kept(tmp_path, "slow", "touch began; sleep 60; touch slow")))
        while not (tmp_path / "began").exists():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)
        eventually(
            lambda: not (tmp_path / "down").exists()
        )  # nothing here runs meanwhile, as when the process is stopped
        with pytest.raises(BackendError, match="slow could not be turned on: interrupted"):
            await slow
        with pytest.raises(BackendError, match="no renewal for 5 s: down was turned off"):
            await undoer.renew()
        await undoer.close()

    asyncio.run(scenario())


def test_a_drill_that_waits_for_a_slow_command_is_alive(tmp_path: Path) -> None:
    async def scenario() -> None:
        undoer = Undoer(tmp_path / "note")
        await undoer.start()
        await undoer.turn_on(kept(tmp_path, "down", "touch down"))
        await undoer.turn_on(kept(tmp_path, "slow", f"sleep {LEASE_S + 1.5}; touch slow"))
        assert (tmp_path / "down").exists()
        assert (tmp_path / "slow").exists()
        await undoer.renew()
        for name in ("slow", "down"):
            await undoer.turn_off(name)
        await undoer.close()

    asyncio.run(scenario())
