"""The processes of this machine, from /proc, and signals to them. Linux; elsewhere no process is found. Standard library only."""

from __future__ import annotations

import os
import signal

# Process id and start time: not to be confused with a later process of the same id.
Identity = tuple[int, str]
_MARKED_PASSES = 50


def descendants(root: int) -> set[Identity]:
    """Every living process that process `root` started, directly or not."""
    children: dict[int, list[Identity]] = {}
    for pid in _all_pids():
        fields = _read(pid, "stat").rpartition(b")")[2].split()
        if fields and fields[0] != b"Z":
            children.setdefault(int(fields[1]), []).append((pid, fields[19].decode()))
    offspring: set[Identity] = set()
    parents = [root]
    while parents:
        for identity in children.get(parents.pop(), []):
            offspring.add(identity)
            parents.append(identity[0])
    return offspring


def kill_marked(variable: str, value: str) -> None:
    """Kill every process that has this environment variable, whatever became of its parents."""
    wanted = f"{variable}={value}".encode()
    for _ in range(_MARKED_PASSES):  # they may be starting others
        marked = [pid for pid in _all_pids() if wanted in _read(pid, "environ").split(b"\0")]
        if not marked:
            return
        for pid in marked:
            signal_process(pid, signal.SIGKILL)


def signal_process(pid: int, number: int) -> None:
    """Send a signal; nothing where the process is gone or is another user's."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the process group that `pid` leads, as signal_process does."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _all_pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - importing pathlib takes long
    except OSError:
        return []


def _read(pid: int, name: str) -> bytes:
    """A file of a process; empty where the process has ended or is another user's."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as stream:  # noqa: PTH123
            return stream.read()
    except OSError:
        return b""
