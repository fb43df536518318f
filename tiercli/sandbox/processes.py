"""Starting and stopping processes through the warden, from asyncio."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tiercli.errors import BackendError, ToolMissing


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to start: its name, argument list, additions to the environment, and where its output goes."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)


class Warden:
    """An async context manager around a warden process. `folder` is deleted when it ends, however it ends.

    `on_exit(name, code)` is called when a process ends that was not stopped through here.
    """

    def __init__(self, folder: Path | None = None, on_exit: Callable[[str, int], None] | None = None) -> None:
        self.folder = folder
        self.on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[tuple[str, str], asyncio.Future[Any]] = {}

    async def __aenter__(self) -> Self:
        arguments = [str(self.folder)] if self.folder else []
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tiercli.sandbox.warden",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C and a killed process group reach us, not the warden
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self, spec: ProcessSpec) -> int:
        """Start a process; its pid. Raises ToolMissing when the program cannot be run."""
        message = {
            "do": "start",
            "name": spec.name,
            "argv": list(spec.argv),
            "env": dict(spec.env),
            "log": str(spec.log),
        }
        return int(await self._ask(("start", spec.name), message))

    async def stop(self, name: str, grace_s: float = 2.0) -> None:
        """End a process and everything that it started; returns once it is gone. Nothing when it is gone already."""
        future = self._expect(("exit", name))
        self._send({"do": "stop", "name": name, "grace_s": grace_s})
        done, _ = await asyncio.wait({future}, timeout=grace_s + 3)
        if not done:
            self._answers.pop(("exit", name), None)

    async def close(self) -> None:
        """End every process and delete the folder."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
        self._process = None

    def _expect(self, key: tuple[str, str]) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self._answers[key] = future
        return future

    async def _ask(self, key: tuple[str, str], message: Mapping[str, Any]) -> Any:
        future = self._expect(key)
        self._send(message)
        return await future

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._process is None or self._process.stdin is None or self._process.stdin.is_closing():
            raise BackendError("the warden of the sandbox's processes is gone")
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self) -> None:
        stdout = self._process.stdout if self._process else None
        while stdout is not None and (line := await stdout.readline()):
            said = json.loads(line)
            if "started" in said:
                self._answer(("start", said["started"]), said["pid"])
            elif "failed" in said:
                error = ToolMissing(f"cannot start {said['failed']}: {said['error']}")
                self._answer(("start", said["failed"]), error)
            elif not self._answer(("exit", said["exited"]), said["code"]) and self.on_exit is not None:
                self.on_exit(said["exited"], said["code"])
        for key in list(self._answers):
            self._answer(key, BackendError("the warden of the sandbox's processes is gone"))

    def _answer(self, key: tuple[str, str], value: Any) -> bool:
        future = self._answers.pop(key, None)
        if future is None or future.done():
            return False
        if isinstance(value, Exception):
            future.set_exception(value)
        else:
            future.set_result(value)
        return True
