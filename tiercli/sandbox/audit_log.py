"""The gateway's audit log: one JSON line a client call, without prompt, answer or key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO


class AuditLog:
    """Appends records and flushes each. `write` says whether the record is on its way to disk: only then it counts."""

    def __init__(self, path: Path) -> None:
        self._stream: TextIO = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> bool:
        """Append one record; False when the disk refused it."""
        try:
            self._stream.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._stream.flush()
        except OSError:
            return False
        return True
