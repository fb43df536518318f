"""Finds prometheus, promtool, alertmanager and amtool: by flag, environment, PATH, and in tiercli's own cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tiercli.errors import ToolMissing

PROGRAMS = ("prometheus", "promtool", "alertmanager", "amtool")
_NAMES = {"alertmanager": ("alertmanager", "prometheus-alertmanager")}  # Debian's name is the second
_OLDEST = {"prometheus": (2, 42), "promtool": (2, 42), "alertmanager": (0, 25), "amtool": (0, 25)}
_HINT = "run `tiercli stack install`, or name it with TIERCLI_{} or on PATH"


@dataclass(frozen=True, slots=True)
class Program:
    """A program: its path, how it was found, and its version."""

    name: str
    path: Path
    found_by: str
    version: str


@dataclass(frozen=True, slots=True)
class StackBinaries:
    """The four programs of a sandbox."""

    prometheus: Program
    promtool: Program
    alertmanager: Program
    amtool: Program

    def versions(self) -> dict[str, str]:
        """Version by program."""
        return {name: getattr(self, name).version for name in PROGRAMS}


def cache_folder() -> Path:
    """Where `tiercli stack install` unpacks release archives."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tiercli" / "stack"


def locate_programs(flags: Mapping[str, Path] | None = None) -> dict[str, Program | None]:
    """Each program, or None if it was not found. Raises ToolMissing for one that was named and does not run."""
    return {name: _locate(name, (flags or {}).get(name)) for name in PROGRAMS}


def find_stack(flags: Mapping[str, Path] | None = None) -> StackBinaries:
    """All four programs. Raises ToolMissing with every one that is missing or too old, and what to do."""
    located = locate_programs(flags)
    missing = [name for name, program in located.items() if program is None]
    if missing:
        raise ToolMissing(f"not installed: {', '.join(missing)}", hint=_HINT.format(missing[0].upper()))
    programs = {name: program for name, program in located.items() if program is not None}
    old = [program for program in programs.values() if _number(program.version) < _OLDEST[program.name]]
    if old:
        programs_too_old = ", ".join(f"{program.name} {program.version} at {program.path}" for program in old)
        raise ToolMissing(
            f"too old: {programs_too_old}",
            hint="prometheus 2.42 and alertmanager 0.25 are the oldest that tiercli runs",
        )
    return StackBinaries(**programs)


def _locate(name: str, flag: Path | None) -> Program | None:
    variable = f"TIERCLI_{name.upper()}"
    if flag is not None:
        return _named(name, flag, "flag")
    if os.environ.get(variable):
        return _named(name, Path(os.environ[variable]), variable)
    for candidate in _NAMES.get(name, (name,)):
        on_path = shutil.which(candidate)
        if on_path:
            version = _version(Path(on_path))
            if version:
                return Program(name, Path(on_path), "PATH", version)
    cached = cache_folder() / "bin" / name
    if cached.is_file():
        version = _version(cached)
        if version:
            return Program(name, cached, "cache", version)
    return None


def _named(name: str, path: Path, by: str) -> Program:
    version = _version(path)
    if version is None:
        raise ToolMissing(f"{path}, named by {by}, does not run as {name}", hint=_HINT.format(name.upper()))
    return Program(name, path, by, version)


def _version(path: Path) -> str | None:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"version (\d+\.\d+\S*)", done.stdout + done.stderr)
    return match[1].rstrip(",") if match else None


def _number(version: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", version)[:2]
    return int(major), int(minor)
