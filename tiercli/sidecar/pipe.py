"""The drill's side of a sidecar: starts the process, and exchanges JSON messages with it, one a line."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tiercli.errors import BackendError

_ENDED_WITHIN_S = 10.0
_ROOT = Path(__file__).resolve().parents[2]
# Isolated and without site packages, Python starts in a third of the time. The folder of tiercli comes last on the path:
# a sidecar imports the standard library and tiercli.sidecar only.
_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from {} import main; main()"

# What is asked, and of which process or fault.
Key = tuple[str, str]


def sidecar_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs `main` of a module as a sidecar, with these arguments."""
    return [sys.executable, "-I", "-S", "-c", _BOOT.format(module), str(_ROOT), *arguments]


class Sidecar(ABC):
    """A process outside the drill's session: Ctrl-C and a signal to the drill's process group do not reach it. It sees the
    end of its input however the drill ends."""

    MODULE: ClassVar[str]
    NAME: ClassVar[str]  # in messages

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._input: asyncio.WriteTransport
        self._output: asyncio.ReadTransport
        self._reading: asyncio.Task[None]
        self._answers: dict[Key, asyncio.Future[Any]] = {}
        self._closing = False
        self._died = False

    @property
    def pid(self) -> int:
        """The process id. Raises BackendError while the process does not run."""
        if self._process is None:
            raise BackendError(f"{self.NAME} does not run")
        return self._process.pid

    @abstractmethod
    def _receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of the process."""

    @abstractmethod
    async def _clean_up(self, pending: Sequence[Key]) -> None:
        """The process died. `pending`: what was asked and not answered; whoever asked gets a BackendError."""

    async def _launch(self, *arguments: str) -> None:
        """Start the process. Raises BackendError."""
        loop = asyncio.get_running_loop()
        try:
            # Not asyncio's own: asyncio kills a child when its event loop is closed.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                sidecar_command(self.MODULE, *arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise BackendError(f"cannot start {self.NAME}: {error}") from error
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        self._output, _ = await loop.connect_read_pipe(lambda: protocol, self._process.stdout)
        self._input, _ = await loop.connect_write_pipe(asyncio.Protocol, self._process.stdin)
        self._reading = asyncio.create_task(self._read(reader))

    async def _ask(self, key: Key, message: Mapping[str, Any], limits_s: Sequence[float | None] = (None,)) -> Any:
        """The answer to `message`, shared by all who ask for the same key meanwhile. Raises BackendError where the process has
        died, TimeoutError after these limits, one after the other."""
        if self._process is None or self._died or self._input.is_closing():
            raise self._gone()
        if key not in self._answers:
            self._answers[key] = asyncio.get_running_loop().create_future()
            self._input.write(json.dumps(message).encode() + b"\n")
        answer = self._answers[key]
        for limit_s in limits_s:
            await asyncio.wait({answer}, timeout=limit_s)
            if answer.done():
                return answer.result()
        raise TimeoutError

    def _answer(self, key: Key, answer: Any) -> None:
        future = self._answers.pop(key, None)
        if future is None:
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
            future.exception()  # whoever asked may have stopped waiting
        else:
            future.set_result(answer)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._receive(json.loads(line))
        self._died = not self._closing
        pending = list(self._answers)
        for key in pending:
            self._answer(key, self._gone())
        if self._died:
            await self._clean_up(pending)

    async def _end(self) -> bool:
        """End the input and wait for the process. Whether it ended by itself; else it was killed."""
        self._input.close()
        await asyncio.wait({self._reading}, timeout=_ENDED_WITHIN_S)
        by_itself = self._reading.done()
        if not by_itself and self._process is not None:
            self._process.kill()
        await self._reading
        self._wait()
        self._output.close()
        return by_itself

    def _wait(self) -> int:
        """The exit code of a process that has closed its output, or was killed: it ends at once."""
        return self._process.wait() if self._process is not None else 0

    def _gone(self) -> BackendError:
        return BackendError(f"{self.NAME} has died")
