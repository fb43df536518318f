"""Nothing outlives the run: whoever is killed, no process, port or folder is left."""

from __future__ import annotations

import asyncio
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
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.processes import ProcessSpec, Warden

# A child with a child of its own, both listening; the grandchild ignores TERM.
LISTENER = """
import os, signal, socket, sys, time
sockets = []
for port in sys.argv[1:]:
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        s = socket.socket(); s.bind(("127.0.0.1", int(port))); s.listen()
        time.sleep(600)
time.sleep(600)
"""
PARENT = """
import asyncio, sys, time
from pathlib import Path
from tiercli.sandbox.processes import ProcessSpec, Warden

async def main():
    folder, code, ports = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    async with Warden(folder) as warden:
        pid = await warden.start(ProcessSpec("tree", (sys.executable, "-c", code, *ports), folder / "log"))
        print(warden._process.pid, pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def listening(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def eventually(check: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether `check` comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.05)
    return False


def start_tree(folder: Path) -> tuple[subprocess.Popen[str], int, list[int]]:
    """A parent, its warden's pid, and the ports that grandchildren of the warden listen on."""
    allocate = PortAllocator()
    ports = [allocate(), allocate()]
    folder.mkdir()
    command = [sys.executable, "-c", PARENT, str(folder), LISTENER, *map(str, ports)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    warden, _ = map(int, parent.stdout.readline().split())
    assert eventually(lambda: all(map(listening, ports)))
    return parent, warden, ports


def reap(parent: subprocess.Popen[str]) -> None:
    parent.wait(10)
    if parent.stdout is not None:
        parent.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_when_the_parent_is_killed_no_process_port_or_folder_is_left(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "sandbox"
    parent, warden, ports = start_tree(folder)
    parent.send_signal(number)
    reap(parent)
    assert eventually(lambda: not any(map(listening, ports)))
    assert eventually(lambda: not folder.exists())
    assert eventually(lambda: not Path(f"/proc/{warden}").exists())


def test_when_the_warden_itself_is_killed_its_children_die_too(tmp_path: Path) -> None:
    parent, warden, ports = start_tree(tmp_path / "sandbox")
    child = next(int(pid) for pid in Path(f"/proc/{warden}/task/{warden}/children").read_text().split())
    os.kill(warden, signal.SIGKILL)
    assert eventually(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text())
    parent.kill()
    reap(parent)
    for port in ports:  # what the child forked is not the warden's own; end it here
        subprocess.run(["pkill", "-9", "-f", str(port)], check=False)


def test_an_exit_that_nobody_asked_for_is_reported(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[str, int]]:
        exits: list[tuple[str, int]] = []
        ended = asyncio.Event()

        def on_exit(name: str, code: int) -> None:
            exits.append((name, code))
            ended.set()

        async with Warden(None, on_exit) as warden:
            await warden.start(ProcessSpec("short", (sys.executable, "-c", "raise SystemExit(7)"), tmp_path / "log"))
            await asyncio.wait_for(ended.wait(), 10)
        return exits

    assert asyncio.run(scenario()) == [("short", 7)]


def test_a_stopped_process_is_gone_and_is_not_reported(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[str, int]]:
        exits: list[tuple[str, int]] = []
        async with Warden(None, lambda name, code: exits.append((name, code))) as warden:
            pid = await warden.start(
                ProcessSpec("long", (sys.executable, "-c", "import time; time.sleep(600)"), tmp_path / "log")
            )
            await warden.stop("long")
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        return exits

    assert asyncio.run(scenario()) == []


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Warden() as warden:
            await warden.start(ProcessSpec("ghost", (str(tmp_path / "ghost"),), tmp_path / "log"))

    with pytest.raises(ToolMissing, match="cannot start ghost"):
        asyncio.run(scenario())


def test_the_warden_imports_the_standard_library_only() -> None:
    code = "import sys, tiercli.sandbox.warden, json; print(json.dumps([m for m in sys.modules if m.split('.')[0] in ('aiohttp', 'pydantic', 'httpx', 'asyncio', 'rich')]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_port_asked_for_and_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BackendError, match=f"port {port}, asked for prometheus"):
            PortAllocator().claim(port, "prometheus")
