"""promtool and amtool, run over files and over unit tests."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tiercli.errors import BackendError, Location, ToolMissing
from tiercli.lint.interface import Found
from tiercli.lint.linted import LintedFile
from tiercli.sandbox.stack.binaries import locate_programs

# A test over a month of evaluations takes seconds; a run that takes this long hangs.
TIMEOUT_S = 300


def complaints(tool: str, command: tuple[str, ...], file: LintedFile, *options: str) -> Iterator[Found]:
    """What `tool` reports about a file, on one line. Raises ToolMissing, or BackendError when it cannot be run."""
    program = locate_programs()[tool]
    if program is None:
        raise ToolMissing(
            f"not installed: {tool}", hint=f"run `tiercli stack install`, or skip it with --disable tool/{tool}"
        )
    with tempfile.TemporaryDirectory(prefix="tiercli-lint-") as folder:
        path = Path(folder) / "linted.yml"
        path.write_text(file.text, encoding="utf-8")
        code, output = run_tool(program.path, *command, *options, str(path))
    lines = [line.strip() for line in output.splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(("Checking", "SUCCESS")))
    if code and text:
        yield Location(file.name, 1, 1), " ".join((tool, *command)), text.replace(str(path), file.name)


def run_tool(program: Path, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """A tool's exit code and output, standard error included when it fails. `env` adds variables that are not set.

    Raises BackendError when it cannot be run or does not end."""
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**(env or {}), **os.environ},
        )
    except OSError as error:
        raise BackendError(f"cannot run {program}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{program} {' '.join(arguments)} took more than {TIMEOUT_S} s") from error
    return done.returncode, done.stdout + done.stderr if done.returncode else done.stdout
