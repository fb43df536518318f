"""However a drill ends, its faults end: each injector, with a drill that is killed, interrupted, stopped or crashes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.faults.environment.live_processes import processes_with
from tests.faults.environment.stands import (
    MUMBAI,
    SECRET,
    Deployment,
    Stand,
    Use,
    command_stand,
    eventually,
    hook_stand,
    proxy_stand,
    real_toxiproxy_stand,
    toxiproxy_stand,
    write_catalog,
)
from tiercli.errors import BackendError
from tiercli.faults.environment.live import note_name
from tiercli.faults.proxy.client import ASK_TIMEOUT_S, FaultControl

MakeStand = Callable[[Path], AbstractContextManager[Stand]]
STANDS = [
    pytest.param(proxy_stand, id="fault proxy"),
    pytest.param(toxiproxy_stand, id="fake of Toxiproxy"),
    pytest.param(real_toxiproxy_stand, id="Toxiproxy", marks=pytest.mark.slow),
    pytest.param(command_stand, id="command"),
    pytest.param(hook_stand, id="hook"),
]
KEPT = STANDS[1:]  # by what has no leases of its own


class Drill:
    """A drill that has turned its faults on, and what it says when it ends."""

    def __init__(self, process: subprocess.Popen[str], notes: Path) -> None:
        self.process = process
        self.note = notes / note_name("staging", process.pid)
        self.said: list[str] = []

    @property
    def undoer(self) -> int:
        """The process id of its undoer."""
        return next(pid for pid in processes_with(str(self.note)) if pid != self.process.pid)

    def end(self) -> tuple[int, str]:
        """Exit code and standard error, of the undoer too."""
        _, errors = self.process.communicate(timeout=90)
        return self.process.returncode, errors


@contextmanager
def drilling(stand: Stand, *uses: Use) -> Iterator[Drill]:
    """A drill with its faults on, in a process group of its own."""
    notes = stand.folder / "run"
    command = [sys.executable, "-m", "tests.faults.environment.drill_child", str(stand.catalog), str(notes)]
    process = subprocess.Popen(
        [*command, *map(json.dumps, uses)],
        cwd=ROOT,
        env={**os.environ, **stand.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    drill = Drill(process, notes)
    try:
        assert process.stdout is not None
        drill.said = [process.stdout.readline() for _ in uses]
        if not all(drill.said):
            raise AssertionError(drill.end()[1])
        yield drill
    finally:
        process.kill()
        process.communicate(timeout=90)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("make_stand", STANDS)
def test_a_fault_ends_with_its_drill(tmp_path: Path, make_stand: MakeStand, number: signal.Signals) -> None:
    with make_stand(tmp_path) as stand:
        assert not stand.is_on()
        with drilling(stand, stand.uses[0]) as drill:
            assert stand.is_on()
            drill.process.send_signal(number)
            eventually(lambda: not stand.is_on())
            code, errors = drill.end()
        assert code == (130 if number is signal.SIGINT else -number)
        assert "still be on" not in errors
        assert not drill.note.exists()


@pytest.mark.parametrize("make_stand", STANDS)
def test_a_fault_ends_where_the_whole_process_group_is_killed(tmp_path: Path, make_stand: MakeStand) -> None:
    with make_stand(tmp_path) as stand, drilling(stand, stand.uses[0]) as drill:
        os.killpg(drill.process.pid, signal.SIGKILL)
        eventually(lambda: not stand.is_on())


@pytest.mark.parametrize("make_stand", STANDS)
def test_a_fault_ends_where_its_drill_is_stopped_and_the_drill_learns_of_it(
    tmp_path: Path, make_stand: MakeStand
) -> None:
    with make_stand(tmp_path) as stand, drilling(stand, stand.uses[0]) as drill:
        drill.process.send_signal(signal.SIGSTOP)
        eventually(lambda: not stand.is_on())
        drill.process.send_signal(signal.SIGCONT)
        code, errors = drill.end()
        assert code == 3
        assert "ended by itself" in errors or "no renewal" in errors


@pytest.mark.parametrize("make_stand", STANDS)
def test_every_fault_of_a_drill_ends(tmp_path: Path, make_stand: MakeStand) -> None:
    with make_stand(tmp_path) as stand:
        uses = stand.uses[1:] or stand.uses
        with drilling(stand, *uses) as drill:
            drill.process.kill()
            eventually(lambda: not stand.is_on() and not drill.note.exists())
        assert not [path for path in tmp_path.rglob("*down") if path.exists()]


@pytest.mark.parametrize("make_stand", KEPT)
def test_a_fault_stays_on_while_it_is_renewed_and_signals_to_the_undoer_change_nothing(
    tmp_path: Path, make_stand: MakeStand
) -> None:
    with make_stand(tmp_path) as stand, drilling(stand, stand.uses[0]) as drill:
        undoer = drill.undoer
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(undoer, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            drill.process.wait(6)  # longer than a lease
        assert drill.process.poll() is None
        assert stand.is_on()
        assert "by hand: " in drill.note.read_text()
        assert drill.note.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("make_stand", KEPT)
def test_a_drill_without_its_undoer_turns_its_faults_off_and_ends(
    tmp_path: Path, make_stand: MakeStand, number: signal.Signals
) -> None:
    with make_stand(tmp_path) as stand, drilling(stand, stand.uses[0]) as drill:
        os.kill(drill.undoer, number)
        eventually(lambda: not stand.is_on())
        code, errors = drill.end()
        assert code == 3
        assert "the undoer of faults" in errors
        assert not drill.note.exists()


@pytest.mark.parametrize("whom", ["the drill", "its undoer"])
def test_a_command_that_is_under_way_is_ended_and_undone(tmp_path: Path, whom: str) -> None:
    """Else it would turn the fault on after it was turned off, or keep it on for as long as it takes."""
    slow = ["sh", "-c", f"touch {tmp_path}/began; sleep 600; touch down"]
    commands = [{"fault": "gateway-down", "on": slow, "off": ["touch", "undone"], "within": "10m"}]
    catalog, notes = write_catalog(tmp_path, {"commands": commands}), tmp_path / "run"
    command = [sys.executable, "-m", "tests.faults.environment.drill_child", str(catalog), str(notes)]
    process = subprocess.Popen([*command, '["gateway-down", {}, {}]'], cwd=ROOT)
    drill = Drill(process, notes)
    try:
        eventually((tmp_path / "began").exists)
        os.kill(process.pid if whom == "the drill" else drill.undoer, signal.SIGKILL)
        eventually((tmp_path / "undone").exists)
        assert processes_with(f"{tmp_path}/began") == []
        assert process.wait(60) == (-signal.SIGKILL if whom == "the drill" else 3)
    finally:
        process.kill()
        process.wait()


def test_a_drill_leaves_the_note_of_another_alone(tmp_path: Path) -> None:
    """Two that keep their runs in the same folder: each one's note is there for as long as its own fault is on."""
    with command_stand(tmp_path) as stand, drilling(stand, stand.uses[0]) as one:
        with drilling(stand, stand.uses[1]) as other:
            assert "replica-down" in other.note.read_text()
            assert "gateway-down" in one.note.read_text()
            other.process.send_signal(signal.SIGINT)
            other.end()
            eventually(lambda: not other.note.exists())
        assert "rm -f down" in one.note.read_text()


@pytest.mark.parametrize("lease_s", [20.0, 1.0], ids=["and goes on", "or says that the lease is over"])
def test_a_renewal_whose_answer_was_lost_is_asked_again(tmp_path: Path, lease_s: float) -> None:
    async def scenario(proxy: int, control: FaultControl) -> None:
        async with control:
            await control.apply("outage", MUMBAI, lease_s=lease_s)
            os.kill(proxy, signal.SIGSTOP)
            renewed = asyncio.create_task(control.renew_all())
            await asyncio.sleep(ASK_TIMEOUT_S + 0.3)
            os.kill(proxy, signal.SIGCONT)
            if lease_s > ASK_TIMEOUT_S:
                await renewed
            else:
                with pytest.raises(BackendError, match="ended by itself"):
                    await renewed

    with proxy_stand(tmp_path) as stand:
        proxy = processes_with(str(tmp_path / "plan.json"))[0]
        url = yaml.safe_load(stand.catalog.read_text())["environments"]["staging"]["injectors"]["proxy"]["url"]
        asyncio.run(scenario(proxy, FaultControl(url, SECRET)))


def test_what_cannot_be_undone_at_once_is_tried_again(tmp_path: Path) -> None:
    deployment = Deployment()
    with hook_stand(tmp_path, deployment) as stand, drilling(stand, stand.uses[0]) as drill:
        deployment.broken = 503
        tries = len(deployment.asked)
        drill.process.kill()
        eventually(lambda: len(deployment.asked) >= tries + 2)
        deployment.broken = 0
        eventually(lambda: not stand.is_on() and not drill.note.exists())


def test_what_cannot_be_undone_at_all_is_said_with_what_to_do_by_hand(tmp_path: Path) -> None:
    """In a file too: whoever started the drill may not see what the undoer says."""
    deployment = Deployment()
    with hook_stand(tmp_path, deployment) as stand, drilling(stand, stand.uses[0]) as drill:
        deployment.broken = 503
        drill.process.kill()
        _, errors = drill.end()
        note = drill.note.read_text()
        for text in (errors, note):
            assert "gateway-down" in text
            assert "HTTP 503" in text
            assert "curl -X PATCH -H 'Content-Type: application/json' -d '{\"replicas\": 2}'" in text
            assert '-H "Authorization: Bearer $TIERCLI_TEST_INJECTOR_TOKEN"' in text
            assert SECRET not in text


@pytest.mark.parametrize("make_stand", STANDS)
def test_a_secret_is_in_no_command_line_and_in_no_file_but_its_own(tmp_path: Path, make_stand: MakeStand) -> None:
    with make_stand(tmp_path) as stand, drilling(stand, stand.uses[0]) as drill:
        assert processes_with(SECRET) == []
        files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "token"]
        assert [path for path in files if SECRET in path.read_text(errors="replace")] == []
        assert SECRET not in "".join(drill.said)
