"""Starting and stopping processes through the supervisor, from asyncio."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tiercli.errors import BackendError, ToolMissing
from tiercli.sidecar import supervisor_process

SUPERVISOR = "supervisor"  # the name under which `on_exit` hears of the supervisor's own end
_CLOSED_WITHIN_S = 10.0
# Isolated and without site packages: it imports the standard library only, and starts in a third of the time.
_COMMAND = (sys.executable, "-I", "-S", supervisor_process.__file__)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to start: its name, argument list, where its output goes, additions to the environment, and the folder
    that it runs in (ours, when not given)."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


class Supervisor:
    """An async context manager around a supervisor process. `folder` is deleted when it ends, however it ends.

    `on_exit(name, code)` is called when a process ends that was not stopped through here, and as (SUPERVISOR, code) when the
    supervisor itself does; every process of it is gone then.
    """

    def __init__(self, folder: Path | None = None, on_exit: Callable[[str, int], None] | None = None) -> None:
        self.folder = folder
        self.on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._running: dict[str, int] = {}
        self._stopping: set[str] = set()
        self._closing = False

    async def __aenter__(self) -> Self:
        """Start the supervisor. Raises BackendError when it cannot be started; the folder is deleted then too."""
        arguments = [str(self.folder)] if self.folder else []
        try:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C and a killed process group reach us, not the supervisor
            )
        except OSError as error:
            self._delete_folder()
            raise BackendError(f"cannot start the supervisor of the sandbox's processes: {error}") from error
        self._reader = asyncio.create_task(self._read(self._process))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def pid(self) -> int:
        """The process id of the supervisor itself."""
        if self._process is None:
            raise BackendError("the supervisor does not run")
        return self._process.pid

    async def start(self, spec: ProcessSpec) -> int:
        """Start a process; its pid. Raises ToolMissing when the program cannot be run, BackendError when the supervisor is
        gone, ValueError while one of this name is being started."""
        if ("start", spec.name) in self._answers:
            raise ValueError(f"{spec.name} is being started already")
        message = {
            "do": "start",
            "name": spec.name,
            "argv": list(spec.argv),
            "env": dict(spec.env),
            "cwd": str(spec.cwd) if spec.cwd else None,
            "log": str(spec.log),
        }
        return int(await self._ask(("start", spec.name), message))

    async def stop(self, name: str, grace_s: float = supervisor_process.GRACE_S) -> None:
        """End a process and everything that it started: TERM, then KILL after `grace_s` seconds; returns once it is
        gone. Nothing when it is gone already, or the supervisor is, which takes all with it."""
        self._stopping.add(name)
        try:
            await self._ask(("exit", name), {"do": "stop", "name": name, "grace_s": grace_s})
        except BackendError:
            return

    async def close(self) -> None:
        """End every process and delete the folder."""
        if self._process is None:
            return
        self._closing = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _CLOSED_WITHIN_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            self._end_what_is_left()
        self._process = None
        if self._reader is not None:
            await self._reader

    async def _ask(self, key: tuple[str, str], message: Mapping[str, Any]) -> Any:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing() or self._reader_ended():
            raise BackendError("the supervisor of the sandbox's processes is gone")
        if key not in self._answers:
            self._answers[key] = asyncio.get_running_loop().create_future()
            process.stdin.write(json.dumps(message).encode() + b"\n")
        # Shielded: whoever else waits for the same answer still gets it when this wait is cancelled.
        return await asyncio.shield(self._answers[key])

    def _reader_ended(self) -> bool:
        return self._reader is None or self._reader.done()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        while process.stdout is not None and (line := await process.stdout.readline()):
            self._hear(json.loads(line))
        for key in list(self._answers):
            self._answer(key, BackendError("the supervisor of the sandbox's processes is gone"))
        if not self._closing:
            code = await process.wait()
            self._end_what_is_left()
            if self.on_exit is not None:
                self.on_exit(SUPERVISOR, code)

    def _hear(self, said: Mapping[str, Any]) -> None:
        if "started" in said:
            self._running[said["started"]] = said["pid"]
            self._stopping.discard(said["started"])
            self._answer(("start", said["started"]), said["pid"])
        elif "failed" in said:
            error = ToolMissing(f"cannot start {said['failed']}: {said['error']}")
            self._answer(("start", said["failed"]), error)
        else:
            name = said["exited"]
            self._running.pop(name, None)
            self._answer(("exit", name), said["code"])
            if name not in self._stopping and self.on_exit is not None:
                self.on_exit(name, said["code"])

    def _end_what_is_left(self) -> None:
        """After a supervisor that was killed: the kernel killed its children, not what those had started."""
        for pid in self._running.values():
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        self._running.clear()
        self._delete_folder()

    def _delete_folder(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _answer(self, key: tuple[str, str], value: Any) -> None:
        future = self._answers.pop(key, None)
        if future is None or future.done():
            return
        if isinstance(value, Exception):
            future.set_exception(value)
            future.exception()  # whoever asked may have stopped waiting
        else:
            future.set_result(value)
