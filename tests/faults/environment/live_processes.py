"""The processes of this machine and their command lines."""

from __future__ import annotations

import contextlib
from pathlib import Path


def all_processes() -> list[int]:
    """The id of each process that there is."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command_line(pid: int) -> str:
    """A process' arguments, "" where it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
