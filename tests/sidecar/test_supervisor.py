"""The supervisor and its client on real processes: trees of them that listen on ports, ignore SIGTERM and run away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tiercli.errors import BackendError, ToolMissing
from tiercli.sidecar.pipe import Sidecar, sidecar_command
from tiercli.sidecar.supervisor import SUPERVISOR, ProcessSpec, Supervisor
from tiercli.sidecar.undoer import Undoer

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable, "-I", "-S", "-c")
SLEEPER = (*PYTHON, "import time; time.sleep(600)")

# A process that listens, and starts another in the same process group and one in a session of its own; all note their
# process id and port in a folder, and ignore SIGTERM.
TREE = """
import os, signal, socket, subprocess, sys, time
folder, depth = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", 0))
for runaway in ((False, True) if depth else ()):
    command = [sys.executable, "-I", "-S", "-c", sys.argv[3], folder, str(depth - 1), sys.argv[3]]
    subprocess.Popen(command, start_new_session=runaway)
name = os.path.join(folder, str(os.getpid()))
with open(name + ".part", "w") as stream:
    stream.write(str(listener.getsockname()[1]))
os.rename(name + ".part", name + ".port")
time.sleep(600)
"""
TREE_SIZE = 3

# A program that uses the client as a drill does, and waits until somebody kills it.
PARENT = """
import asyncio, json, signal, sys
from pathlib import Path
from tiercli.sidecar.supervisor import ProcessSpec, Supervisor

async def main():
    folder, notes, tree = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    async with Supervisor(folder) as supervisor:
        argv = (sys.executable, "-I", "-S", "-c", tree, notes, "1", tree)
        await supervisor.start(ProcessSpec("tree", argv, folder / "tree.log"))
        print(json.dumps({"supervisor": supervisor.pid}), flush=True)
        await asyncio.sleep(600)

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background of a shell
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def peak_kilobytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


def wait_until(what: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.02)


def noted(notes: Path) -> dict[int, int]:
    """Ports by process id of a whole tree."""
    wait_until(lambda: len(list(notes.glob("*.port"))) == TREE_SIZE)
    return {int(file.stem): int(file.read_text()) for file in notes.glob("*.port")}


def assert_all_gone(tree: dict[int, int], folder: Path) -> None:
    wait_until(lambda: not any(map(alive, tree)) and not folder.exists())
    assert [port for port in tree.values() if listens(port)] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "sandbox"
    path.mkdir()
    (path / "data").write_text("something")
    return path


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.mkdir()
    return path


def tree_spec(folder: Path, notes: Path) -> ProcessSpec:
    return ProcessSpec("tree", (*PYTHON, TREE, str(notes), "1", TREE), folder / "tree.log")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_parent(folder: Path, notes: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(folder), str(notes), TREE]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, env=environment) as parent:
        assert parent.stdout is not None
        supervisor = json.loads(parent.stdout.readline())["supervisor"]
        tree = noted(notes)
        assert all(map(alive, tree))
        assert all(map(listens, tree.values()))
        parent.send_signal(number)
    assert_all_gone(tree, folder)
    wait_until(lambda: not alive(supervisor))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_supervisor_ends_everything_and_is_told(
    folder: Path, notes: Path, number: signal.Signals
) -> None:
    async def run() -> list[tuple[str, int]]:
        told: list[tuple[str, int]] = []
        async with Supervisor(folder, lambda *exit_: told.append(exit_)) as supervisor:
            await supervisor.start(tree_spec(folder, notes))
            tree = await asyncio.to_thread(noted, notes)
            os.kill(supervisor.pid, number)
            await asyncio.to_thread(assert_all_gone, tree, folder)
            await asyncio.to_thread(wait_until, lambda: bool(told))
        return told

    assert asyncio.run(run()) == [(SUPERVISOR, 0)]


def test_a_killed_supervisor_takes_its_children_with_it_and_is_told(folder: Path, notes: Path) -> None:
    async def run() -> tuple[dict[int, int], list[tuple[str, int]]]:
        told: list[tuple[str, int]] = []
        async with Supervisor(folder, lambda *exit_: told.append(exit_)) as supervisor:
            pid = await supervisor.start(tree_spec(folder, notes))
            tree = await asyncio.to_thread(noted, notes)
            same_group = {member: port for member, port in tree.items() if os.getpgid(member) == pid}
            assert len(same_group) == 2
            os.kill(supervisor.pid, signal.SIGKILL)
            await asyncio.to_thread(assert_all_gone, same_group, folder)
            await asyncio.to_thread(wait_until, lambda: bool(told))
            with pytest.raises(BackendError, match="supervisor"):
                await supervisor.start(tree_spec(folder, notes))
            await supervisor.stop("tree")
            return {member: port for member, port in tree.items() if member not in same_group}, told

    runaways, told = asyncio.run(run())
    for pid in runaways:  # nobody is left who could know of these
        os.kill(pid, signal.SIGKILL)
    assert told == [(SUPERVISOR, -signal.SIGKILL)]


def test_children_ask_the_kernel_to_die_with_the_supervisor(folder: Path) -> None:
    """Without a client that could help: the supervisor is driven by hand and killed."""
    command = sidecar_command(Supervisor.MODULE, str(folder))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        supervisor.stdin.write(json.dumps({"do": "start", "name": "one", "argv": SLEEPER}).encode() + b"\n")
        supervisor.stdin.flush()
        pid = json.loads(supervisor.stdout.readline())["pid"]
        assert alive(pid)
        supervisor.kill()
    wait_until(lambda: not alive(pid))


def test_stopping_ends_what_a_process_started_even_in_sessions_of_their_own(folder: Path, notes: Path) -> None:
    async def run() -> None:
        told: list[tuple[str, int]] = []
        async with Supervisor(folder, lambda *exit_: told.append(exit_)) as supervisor:
            other = await supervisor.start(ProcessSpec("other", SLEEPER, folder / "other.log"))
            await supervisor.start(tree_spec(folder, notes))
            tree = await asyncio.to_thread(noted, notes)
            await supervisor.stop("tree", grace_s=0.2)
            await asyncio.to_thread(wait_until, lambda: not any(map(alive, tree)))
            assert alive(other)
            assert alive(supervisor.pid)
        assert told == []

    asyncio.run(run())


def test_a_process_that_ignores_sigterm_holds_nobody_else_up(folder: Path, notes: Path) -> None:
    async def run() -> None:
        async with Supervisor(folder) as supervisor:
            await supervisor.start(tree_spec(folder, notes))
            await asyncio.to_thread(noted, notes)
            stopping = asyncio.create_task(supervisor.stop("tree", grace_s=600))
            await asyncio.sleep(0)
            await supervisor.start(ProcessSpec("other", SLEEPER, folder / "other.log"))
            await supervisor.stop("other")
            assert not stopping.done()
        await stopping

    asyncio.run(run())
    assert not folder.exists()


def test_exits_are_told_once_with_their_code_and_names_can_be_used_again(folder: Path) -> None:
    async def run() -> list[tuple[str, int]]:
        told: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        async with Supervisor(folder, lambda *exit_: told.put_nowait(exit_)) as supervisor, asyncio.timeout(30):
            seen = []
            for code in (7, 0):
                spec = ProcessSpec("brief", (*PYTHON, f"raise SystemExit({code})"), folder / "log")
                await supervisor.start(spec)
                seen.append(await told.get())
            await supervisor.start(
                ProcessSpec("brief", (*PYTHON, "import os; os.kill(os.getpid(), 9)"), folder / "log")
            )
            seen.append(await told.get())
            await supervisor.stop("brief", grace_s=600)  # gone already: answered at once
            await supervisor.stop("never started", grace_s=600)
            assert told.empty()
        return seen

    assert asyncio.run(run()) == [("brief", 7), ("brief", 0), ("brief", -9)]


def test_a_stop_that_nobody_waits_for_any_more_is_not_taken_for_a_crash(folder: Path) -> None:
    async def run() -> None:
        told: list[tuple[str, int]] = []
        async with Supervisor(folder, lambda *exit_: told.append(exit_)) as supervisor, asyncio.timeout(30):
            pid = await supervisor.start(ProcessSpec("one", SLEEPER, folder / "log"))
            stopping = asyncio.create_task(supervisor.stop("one"))
            await asyncio.sleep(0)
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            await asyncio.to_thread(wait_until, lambda: not alive(pid))
            await supervisor.stop("one")
            assert told == []
            await supervisor.start(ProcessSpec("one", (*PYTHON, "raise SystemExit(3)"), folder / "log"))
            await asyncio.to_thread(wait_until, lambda: bool(told))
        assert told == [("one", 3)]

    asyncio.run(run())


def test_environment_folder_and_log_are_the_process_s_own(folder: Path) -> None:
    log = folder / "log"
    log.write_text("before\n")

    async def run() -> None:
        over = asyncio.Event()
        async with Supervisor(None, lambda *_: over.set()) as supervisor, asyncio.timeout(30):
            program = "import os, sys; sys.stderr.write('an error\\n'); print(os.environ['COLOUR'], os.getcwd())"
            await supervisor.start(ProcessSpec("one", (*PYTHON, program), log, {"COLOUR": "läuft \U0001f6d1"}, folder))
            await over.wait()

    asyncio.run(run())
    assert log.read_text() == f"before\nan error\nläuft \U0001f6d1 {folder}\n"
    assert folder.exists()  # it was not the supervisor's


@pytest.mark.parametrize(
    ("argv", "log", "said"),
    [
        pytest.param(("/no/such/program",), "log", "No such file or directory", id="a program that is not there"),
        pytest.param((__file__,), "log", "Permission denied", id="a file that cannot be executed"),
        pytest.param(("a\0b",), "log", "null byte", id="a name that no program can have"),
        pytest.param(SLEEPER, "missing/log", "missing/log", id="a log in a folder that is not there"),
    ],
)
def test_what_cannot_be_started_is_an_error_and_nothing_else_stops(
    folder: Path, argv: tuple[str, ...], log: str, said: str
) -> None:
    async def run() -> None:
        async with Supervisor(folder) as supervisor:
            with pytest.raises(ToolMissing, match="cannot start one: ") as caught:
                await supervisor.start(ProcessSpec("one", argv, folder / log))
            assert said in caught.value.message
            assert alive(await supervisor.start(ProcessSpec("one", SLEEPER, folder / "log")))
            with pytest.raises(ToolMissing, match="runs already"):
                await supervisor.start(ProcessSpec("one", SLEEPER, folder / "log"))

    asyncio.run(run())


def test_a_supervisor_that_cannot_be_started_leaves_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    async def run() -> None:
        async with Supervisor(folder):
            pass

    with pytest.raises(BackendError, match="cannot start the supervisor"):
        asyncio.run(run())
    assert not folder.exists()


def test_the_supervisor_is_small(folder: Path) -> None:
    async def run() -> int:
        async with Supervisor(folder) as supervisor:
            await supervisor.start(ProcessSpec("one", SLEEPER, folder / "log"))
            return peak_kilobytes(supervisor.pid)

    assert asyncio.run(run()) < 15 * 1024


@pytest.mark.parametrize("sidecar", [Supervisor, Undoer])
def test_a_sidecar_imports_the_standard_library_and_its_own_folder_only(sidecar: type[Sidecar], folder: Path) -> None:
    command = sidecar_command(sidecar.MODULE, str(folder))
    command[-3] = command[-3].replace("main()", "import os; os._exit = lambda _: None; main(); print(*sys.modules)")
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    own = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert sidecar.MODULE in own
    assert [
        name for name in own if not f"{name}.".startswith(("__main__.", "tiercli.sidecar.")) and name != "tiercli"
    ] == []
    assert folder.exists() == (sidecar is Undoer)  # a supervisor deletes its folder
