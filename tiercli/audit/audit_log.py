"""The audit log: one JSON object a line, one line a client call. Never a prompt, an answer or a key."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

LINE_END = len(b"\n")


class AuditLog:
    """Appends records to a file that only its owner can read. A record is written when the kernel has all of it: then it survives
    the end of this process."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if the file cannot be opened."""
        self._path = path
        self._file = _open(path)
        self._torn = False  # the last line lacks its end
        self.healthy = True

    def write(self, records: Sequence[bytes]) -> int:
        """Append records, as audit_line makes them; how many of them, from the first on, were written whole. The others (a full
        disk) must not be counted as written."""
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
        """If the file was renamed or removed, go on in a new one with its name."""
        try:
            named, own = os.stat(self._path), os.fstat(self._file)  # noqa: PTH116 - beside fstat
            if (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino):
                return
        except FileNotFoundError:
            pass
        except OSError:
            return  # nothing is known: the open file stays open
        try:
            opened = _open(self._path)
        except OSError as error:
            self._failed(f"{self._path} cannot be opened again: {error.strerror}")
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


def audit_line(record: object) -> bytes:
    """A record (an AuditRecord, or a dict of the same fields) as JSON, without a line's end. What callers and servers say in
    headers and bodies may be no text: it is written as far as it is."""
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError:
        return msgspec.json.encode(_as_text(msgspec.to_builtins(record)))


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    return [_as_text(item) for item in value] if isinstance(value, list | tuple) else value
