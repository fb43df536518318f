"""The supervisor: parent of every process that a run starts, so that none outlives it, however the run ends.

`main` with the argument [FOLDER] reads one JSON command a line on standard input and answers on standard output. When its
input ends (the run is over, or was killed), or on SIGTERM, SIGINT and SIGHUP, it ends every child with all that the child
started, and deletes FOLDER. Children also ask the kernel to be killed with the supervisor, so that none is left where the
supervisor is killed. Standard library only: it is the first process to start and stays small.

    {"do": "start", "name": …, "argv": […], "env": {…}, "cwd": …, "log": FILE}  →  {"started": NAME, "pid": N}
                                                                      or  →  {"failed": NAME, "error": …}
    {"do": "stop", "name": …, "grace_s": N}                               →  {"exited": NAME, "code": N}
    (a child ends by itself)                                              →  {"exited": NAME, "code": N}

The code is null for a name that does not run (any more), and negative for a signal, as in subprocess.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time

from tiercli.sidecar.processes import Identity, descendants, signal_group, signal_process

GRACE_S = 2.0
_KILLED_WITHIN_S = 3.0
_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Child:
    """A child; once it is asked to stop, when it will be killed, and what it had started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.kill_at: float | None = None
        self.offspring: set[Identity] = set()

    @property
    def pid(self) -> int:
        return self.process.pid


class SupervisorProcess:
    """Children by name. Whatever they start and leave behind becomes the supervisor's own child, and ends with it."""

    def __init__(self) -> None:
        self._children: dict[str, _Child] = {}
        self._ending = False
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def serve(self) -> None:
        """Obey commands until the input ends or a signal comes."""
        wake, waker = os.pipe()
        for descriptor in (0, wake, waker):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # not ignored: it wakes the loop
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        waiting = selectors.PollSelector()  # epoll refuses files, which standard input may be
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(wake, selectors.EVENT_READ)
        buffer = b""
        while not self._ending:
            for key, _ in waiting.select(self._until_next_kill()):
                read = os.read(key.fd, 1 << 16)
                if key.fd == wake:
                    continue
                if not read:
                    return
                *lines, buffer = (buffer + read).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
            self._reap()
            self._kill_overdue()

    def end(self) -> None:
        """TERM to every child, KILL after a grace; returns once everything that was ever started here is gone."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for child in self._children.values():
            signal_group(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while self._children and time.monotonic() < deadline:
            self._reap(report=False)
            time.sleep(_POLL_S)
        deadline = time.monotonic() + _KILLED_WITHIN_S
        while time.monotonic() < deadline:
            for child in self._children.values():
                signal_group(child.pid, signal.SIGKILL)
            left = descendants(os.getpid())
            for pid, _ in left:
                signal_process(pid, signal.SIGKILL)
            self._reap(report=False)
            if not left and not self._children:
                return
            time.sleep(_POLL_S)

    def _on_signal(self, *_: object) -> None:
        self._ending = True

    def _obey(self, command: dict[str, object]) -> None:
        name = str(command["name"])
        child = self._children.get(name)
        if command["do"] == "start":
            if child is not None:
                _send(failed=name, error="a process of this name runs already")
            else:
                self._start(name, command)
        elif child is None:
            _send(exited=name, code=None)
        else:
            child.offspring = descendants(child.pid)
            child.kill_at = time.monotonic() + float(str(command.get("grace_s", GRACE_S)))
            signal_group(child.pid, signal.SIGTERM)

    def _start(self, name: str, command: dict[str, object]) -> None:
        argv = [str(part) for part in command["argv"]]  # type: ignore[attr-defined]
        log = str(command.get("log") or os.devnull)
        try:
            with open(log, "ab") as output:  # noqa: PTH123 - no pathlib: it is dear to import
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **dict(command.get("env") or {})},  # type: ignore[call-overload]
                    cwd=str(command["cwd"]) if command.get("cwd") else None,
                    start_new_session=True,
                    preexec_fn=_die_with(os.getpid()),
                )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            _send(failed=name, error=f"{argv[0]}: {error}")
        else:
            self._children[name] = _Child(process)
            _send(started=name, pid=process.pid)

    def _reap(self, *, report: bool = True) -> None:
        """Take note of every child that ended, and of what ended children had left behind."""
        names = {child.pid: name for name, child in self._children.items()}
        while (pid := _next_ended()) is not None:
            if pid not in names:
                os.waitpid(pid, os.WNOHANG)
                continue
            child = self._children.pop(names[pid])
            code = child.process.wait()
            signal_group(pid, signal.SIGKILL)  # what it started and did not end
            for stray, _ in child.offspring & descendants(os.getpid()):
                signal_process(stray, signal.SIGKILL)
            if report:
                _send(exited=names[pid], code=code)

    def _kill_overdue(self) -> None:
        for child in self._children.values():
            if child.kill_at is not None and child.kill_at <= time.monotonic():
                signal_group(child.pid, signal.SIGKILL)
                child.kill_at = None

    def _until_next_kill(self) -> float | None:
        due = [child.kill_at for child in self._children.values() if child.kill_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None


def _die_with(supervisor: int) -> object:
    """What a child runs before its program: be killed when the supervisor is. Linux only; elsewhere the end of the supervisor's
    input still ends it."""

    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:  # it died before that call
                os._exit(1)

    return prepare


def _send(**message: object) -> None:
    try:
        os.write(1, json.dumps(message).encode() + b"\n")
    except OSError:
        pass  # nobody reads any more; the end of input follows


def _next_ended() -> int | None:
    """The process id of a child that ended and was not waited for yet."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended is not None else None


def main() -> None:
    """Serve until the run is over, then leave nothing."""
    folder = sys.argv[1] if len(sys.argv) > 1 else ""
    supervisor = SupervisorProcess()
    try:
        supervisor.serve()
    finally:
        supervisor.end()
        if folder:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
