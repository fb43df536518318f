"""Starting and stopping processes through the supervisor, from asyncio."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tiercli.errors import BackendError, ToolMissing
from tiercli.sidecar.pipe import Key, Sidecar
from tiercli.sidecar.processes import signal_group
from tiercli.sidecar.supervisor_process import GRACE_S

SUPERVISOR = "supervisor"  # the name with which `on_exit` is called when the supervisor itself ends


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to start: its name, argument list, the file for its output, additions to the environment, and its working
    folder (the drill's, when not given)."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


class Supervisor(Sidecar):
    """An async context manager around a supervisor process. `folder` is deleted when it ends, however it ends.

    `on_exit(name, code)` is called when a process ends that was not stopped through here, and as (SUPERVISOR, code) when the
    supervisor itself does; all its processes are gone then.
    """

    MODULE = "tiercli.sidecar.supervisor_process"
    NAME = "the supervisor of the drill's processes"

    def __init__(self, folder: Path | None = None, on_exit: Callable[[str, int], None] | None = None) -> None:
        super().__init__()
        self.folder = folder
        self.on_exit = on_exit
        self._running: dict[str, int] = {}
        self._stopping: set[str] = set()

    async def __aenter__(self) -> Self:
        """Start the supervisor. Raises BackendError where it cannot be started; the folder is deleted then too."""
        try:
            await self._launch(*([str(self.folder)] if self.folder else []))
        except BackendError:
            self._delete_folder()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self, spec: ProcessSpec) -> int:
        """Start a process; its pid. Raises ToolMissing when the program cannot be run, BackendError when the supervisor is
        gone, ValueError while another process of this name is being started."""
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

    async def stop(self, name: str, grace_s: float = GRACE_S) -> None:
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
        if not await self._end():
            self._end_what_is_left()
        self._process = None

    def _receive(self, message: Mapping[str, Any]) -> None:
        if "started" in message:
            name = message["started"]
            self._running[name] = message["pid"]
            self._stopping.discard(name)
            self._answer(("start", name), message["pid"])
        elif "failed" in message:
            name = message["failed"]
            self._answer(("start", name), ToolMissing(f"cannot start {name}: {message['error']}"))
        else:
            name = message["exited"]
            self._running.pop(name, None)
            self._answer(("exit", name), message["code"])
            if name not in self._stopping and self.on_exit is not None:
                self.on_exit(name, message["code"])

    async def _clean_up(self, pending: Sequence[Key]) -> None:
        code = self._wait()
        self._end_what_is_left()
        if self.on_exit is not None:
            self.on_exit(SUPERVISOR, code)

    def _end_what_is_left(self) -> None:
        """After a supervisor that was killed: the kernel killed its children, not what those had started."""
        for pid in self._running.values():
            signal_group(pid, signal.SIGKILL)
        self._running.clear()
        self._delete_folder()

    def _delete_folder(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
