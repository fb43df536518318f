"""The audit log: one JSON object a line, one line a client call. Never a prompt, an answer or a key."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class AuditLog:
    """Appends records to a file that only its owner can read. A record is written when the kernel has all of it: it then
    survives this process, however it ends."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file cannot be opened."""
        self._path = path
        self._file = _open(path)
        self._torn = False  # the last line lacks its end
        self.healthy = True

    def write(self, record: Mapping[str, Any]) -> bool:
        """Append one record. False when it could not be written whole (a full disk): it must not be counted then."""
        return self.write_lines([json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode()]) == 1

    def write_lines(self, records: Sequence[bytes]) -> int:
        """As `write`, for records that are JSON already, without a line's end: how many of them, from the first on, were
        written whole."""
        content = b"\n" * self._torn + b"\n".join(records) + b"\n"
        try:
            written = os.write(self._file, content)
        except OSError as error:
            self._failed(str(error))
            return 0
        self._torn = written < len(content)  # the next record begins a line of its own
        if not self._torn:
            self.healthy = True
            return len(records)
        self._failed(f"{written} of {len(content)} bytes written")
        return max(0, content[:written].count(b"\n") - content.startswith(b"\n"))

    def follow_rotation(self) -> None:
        """Where the file was moved away or removed, go on in a new one of its name."""
        try:
            there, own = os.stat(self._path), os.fstat(self._file)  # noqa: PTH116 - beside fstat
            if (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino):
                return
        except FileNotFoundError:
            pass
        except OSError:
            return  # nothing is known: what is open stays so
        try:
            opened = _open(self._path)
        except OSError as error:
            self._failed(f"{self._path} cannot be opened anew: {error.strerror}")
            return
        os.close(self._file)
        self._file, self._torn = opened, False

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _failed(self, reason: str) -> None:
        if self.healthy:
            sys.stderr.write(f"audit records are lost: {reason}\n")
        self.healthy = False


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
