"""The warden: parent of every process that a run starts, so that none outlives it, however the run ends.

`python -m tiercli.sandbox.warden [FOLDER]` reads one JSON command a line on standard input and answers on standard
output. When its input ends (the run is over, or was killed), it ends every child and deletes FOLDER. Children also ask
the kernel to be killed with the warden, so that killing the warden leaves nothing either. Standard library only: it is
the first thing to start and stays small.

    {"do": "start", "name": …, "argv": […], "env": {…}, "cwd": …, "log": FILE}  →  {"started": NAME, "pid": N}
    {"do": "stop", "name": …, "grace_s": N}                                     →  {"exited": NAME, "code": N}
    (a child ends by itself)                                                    →  {"exited": NAME, "code": N}
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
GRACE_S = 2.0
_POLL_S = 0.1

Child = subprocess.Popen[bytes]


def _die_with_parent() -> None:
    """Run in the child: be killed when the warden is. Linux only; elsewhere the end of input still ends children."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _say(**message: object) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        pass  # nobody listens any more; the end of input follows


def _start(command: dict[str, object], children: dict[str, Child]) -> None:
    name = str(command["name"])
    argv = [str(part) for part in command["argv"]]  # type: ignore[attr-defined]
    try:
        with open(str(command.get("log") or os.devnull), "ab") as log:  # noqa: PTH123 - no pathlib: it is dear to import
            children[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **dict(command.get("env") or {})},  # type: ignore[call-overload]
                cwd=str(command["cwd"]) if command.get("cwd") else None,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
    except OSError as error:
        _say(failed=name, error=f"{argv[0]}: {error.strerror}")
    else:
        _say(started=name, pid=children[name].pid)


def _signal_group(child: Child, number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def _end(children: dict[str, Child], grace_s: float) -> None:
    """TERM to every group, KILL to what is left after `grace_s`; returns once all are gone."""
    for child in children.values():
        _signal_group(child, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    for child in children.values():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
    for child in children.values():
        _signal_group(child, signal.SIGKILL)
        child.wait()


def _report_exits(children: dict[str, Child]) -> None:
    for name, child in list(children.items()):
        code = child.poll()
        if code is not None:
            _signal_group(child, signal.SIGKILL)  # what it started and left behind
            del children[name]
            _say(exited=name, code=code)


def _obey(line: str, children: dict[str, Child]) -> None:
    command = json.loads(line)
    if command["do"] == "start":
        _start(command, children)
    elif command["do"] == "stop" and command["name"] in children:
        name = command["name"]
        child = children.pop(name)
        _end({name: child}, float(command.get("grace_s", GRACE_S)))
        _say(exited=name, code=child.returncode)


def main() -> None:
    """Serve commands until the input ends or a signal comes."""
    folder = sys.argv[1] if len(sys.argv) > 1 else ""
    children: dict[str, Child] = {}
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        os.set_blocking(0, False)
        waiting = selectors.PollSelector()  # epoll refuses files, which a test may give as input
        waiting.register(0, selectors.EVENT_READ)
        buffer = b""
        while True:
            if waiting.select(_POLL_S):
                read = os.read(0, 1 << 16)
                if not read:
                    return
                *lines, buffer = (buffer + read).split(b"\n")
                for line in lines:
                    _obey(line.decode(), children)
            _report_exits(children)
    finally:
        _end(children, GRACE_S)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
