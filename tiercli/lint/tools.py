"""The tools that lint calls."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tiercli.errors import BackendError, ToolMissing
from tiercli.sandbox.stack.binaries import locate_programs

_TIMEOUT_S = 120


def program(name: str) -> Path:
    """Where a tool is. Raises ToolMissing when it is nowhere."""
    found = locate_programs()[name]
    if found is None:
        raise ToolMissing(
            f"not installed: {name}", hint="run `tiercli stack install`, or leave it out with --disable tool/" + name
        )
    return found.path


def said_by(tool: Path, *arguments: str) -> str:
    """What a tool complains of, on one line; nothing when it is content. Raises BackendError when it cannot be run."""
    try:
        done = subprocess.run(
            [tool, *arguments],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"cannot run {tool}: {error}") from error
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("Checking", "SUCCESS")))
