"""The gateway's audit log: one JSON object a line, one line a client call. Never a prompt, an answer or a key."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class AuditLog:
    """Appends records to a file that only its owner can read. A record is written when the kernel has all of it: it then
    survives this process, however it ends."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file cannot be opened."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.healthy = True

    def write(self, record: Mapping[str, Any]) -> bool:
        """Append one record. False when it could not be written whole (a full disk): it must not be counted then."""
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            return self._failed(str(error))
        if written != len(line):
            return self._failed(f"{written} of {len(line)} bytes written")
        self.healthy = True
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _failed(self, reason: str) -> bool:
        if self.healthy:
            sys.stderr.write(f"gateway: audit records are lost: {reason}\n")
        self.healthy = False
        return False
