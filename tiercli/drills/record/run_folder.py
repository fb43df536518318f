"""The folder of a run: what it saw, what it concluded, what it ran on. Readable by its owner only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tiercli.errors import BackendError

TIMELINE = "timeline.jsonl"
SPEC = "drill.yaml"
RESULT = "result.json"
JUNIT = "junit.xml"
REPORT = "report.html"


def make_runs_folder(base: Path) -> None:
    """The folder that runs are kept in, where it is not there yet. Raises BackendError when the disk refuses."""
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, base) from error


def make_run_folder(base: Path, drill: str) -> Path:
    """A new folder below `base`, named for the time and the drill. Raises BackendError when the disk refuses."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    try:
        base.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 1000):
            folder = base / (f"{stamp}-{drill}" if attempt == 1 else f"{stamp}-{drill}-{attempt}")
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise disk_error(error, base) from error
    raise BackendError(f"no free folder name below {base}")


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a run's folder. Raises BackendError when the disk refuses."""
    try:
        for name, text in files.items():
            place = folder / name
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(
                os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as stream:
                stream.write(text)
    except OSError as error:
        raise disk_error(error, folder) from error


def disk_error(error: OSError, folder: Path) -> BackendError:
    """What to say of a disk that refuses."""
    message = (error.strerror or str(error)).lower()
    return BackendError(f"cannot write the run's folder {folder}: {message}", hint="--runs names another folder")
