"""What turns a fault on or off: a command, or an HTTP request. A failure is a sentence, without secrets. Standard library only."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import ssl
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import quote, urlsplit

from tiercli.sidecar.processes import kill_marked, signal_group

INTERRUPTED = "interrupted before it was done"
FAULT_ID = "TIERCLI_FAULT_ID"  # in the environment of a command, and so of all that it starts
_GRACE_S = 2.0  # between TERM and KILL of a command
_SHOWN = 500  # characters of a command's output, and of an answer
_MARGIN = 8192  # read beyond them, so that a secret is seen whole before anything is cut
_URL_SAFE = "%/?:@!$&'()*+,;=-._~"


@dataclass(eq=False, slots=True)
class Attempt:
    """Around one action: secrets to leave out of messages, an event that ends it early, and the fault's id, for commands."""

    secrets: tuple[str, ...] = ()
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    fault_id: str = ""

    def shown(self, text: str, *, end: bool = False) -> str:
        """The beginning of `text`, or its end, as it can be printed: on one line, without the secrets."""
        text = " ".join(without_secrets(text, self.secrets).split())
        text = "".join(char if char.isprintable() else "?" for char in text)
        if len(text) <= _SHOWN:
            return text
        return f"…{text[-_SHOWN:]}" if end else f"{text[:_SHOWN]}…"


@dataclass(frozen=True, slots=True)
class Command:
    """A program without a shell: argument list, folder, additions to the environment, and how long it may take, seconds."""

    argv: tuple[str, ...]
    cwd: str
    within_s: float
    env: Mapping[str, str] = field(default_factory=dict)

    async def perform(self, attempt: Attempt) -> str:
        """Run it. Why it failed, "" where it did not. Past its time, or once abandoned, it ends with what it started."""
        with tempfile.TemporaryFile() as output:  # no pipe: what a command leaves running may hold its output open
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.argv,
                    cwd=self.cwd,
                    env={**os.environ, **self.env, **({FAULT_ID: attempt.fault_id} if attempt.fault_id else {})},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                return f"{self.argv[0]} cannot be run: {_reason(error)}"
            ended = asyncio.create_task(process.wait())
            abandoned = asyncio.create_task(attempt.abandoned.wait())
            try:
                await asyncio.wait({ended, abandoned}, timeout=self.within_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                abandoned.cancel()
            printed = attempt.shown(_end_of(output), end=True)
            printed = f": {printed}" if printed else ""
            if not ended.done():
                await _end_group(process.pid, ended)
                if attempt.fault_id:  # what it started may be in groups and sessions of its own
                    await asyncio.to_thread(kill_marked, FAULT_ID, attempt.fault_id)
                return INTERRUPTED if attempt.abandoned.is_set() else f"not done within {self.within_s:g} s{printed}"
            code = ended.result()
            return f"{f'signal {-code}' if code < 0 else f'exit code {code}'}{printed}" if code else ""


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request, and how long it may take, seconds. 2xx and the statuses `fine` are success."""

    method: str
    url: str
    within_s: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    fine: tuple[int, ...] = ()

    async def perform(self, attempt: Attempt) -> str:
        """Send it. Why it failed, "" where it did not. A request under way is not abandoned: its server would go on."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            failure = self._exchange(attempt)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(lambda: None if outcome.done() else outcome.set_result(failure))

        threading.Thread(target=work, daemon=True).start()
        try:
            return await asyncio.wait_for(outcome, self.within_s)
        except TimeoutError:
            return f"no answer within {self.within_s:g} s"

    def _exchange(self, attempt: Attempt) -> str:
        parts = urlsplit(self.url)
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_URL_SAFE)
        body = None if self.body is None else self.body.encode()
        try:
            with contextlib.closing(self._connection(parts.scheme, parts.hostname or "", parts.port)) as connection:
                connection.request(self.method, target, body, dict(self.headers))
                answer = connection.getresponse()
                text = answer.read(_SHOWN + _MARGIN).decode(errors="replace")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return attempt.shown(_reason(error))
        if 200 <= answer.status < 300 or answer.status in self.fine:
            return ""
        reason = attempt.shown(text)
        return f"HTTP {answer.status}: {reason}" if reason else f"HTTP {answer.status}"

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            trust = ssl.create_default_context(cafile=self.ca_file)
            return http.client.HTTPSConnection(host, port, timeout=self.within_s, context=trust)
        return http.client.HTTPConnection(host, port, timeout=self.within_s)


Action = Command | Call


def action_from_json(data: Mapping[str, Any]) -> Action:
    """An action as dataclasses.asdict wrote it."""
    if "argv" in data:
        return Command(**{**data, "argv": tuple(data["argv"])})
    return Call(**{**data, "fine": tuple(data["fine"])})


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """`text` with each secret replaced."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "(secret)")
    return text


async def _end_group(pid: int, ended: asyncio.Task[int]) -> None:
    signal_group(pid, signal.SIGTERM)
    await asyncio.wait({ended}, timeout=_GRACE_S)
    signal_group(pid, signal.SIGKILL)
    await ended


def _end_of(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _SHOWN * 4 - _MARGIN))
    return output.read().decode(errors="replace")


def _reason(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return reason or str(error) or type(error).__name__
