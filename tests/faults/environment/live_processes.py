"""The processes of this machine by their command lines."""

from __future__ import annotations

import psutil


def processes_with(text: str) -> list[int]:
    """The ids of those that have `text` in their command line."""
    command_lines = {process.pid: process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"])}
    return [pid for pid, arguments in command_lines.items() if text in " ".join(arguments)]
