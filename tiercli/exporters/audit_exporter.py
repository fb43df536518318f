"""The audit exporter: follows the gateway's audit log and exposes what its records add up to. Prometheus sees each record
exactly once.

A scrape first saves its answer, with the position in the log that it was counted up to. After a restart the exporter goes on
from there: counters do not fall back, and no record is counted again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric as Family

from tiercli.audit.audit_log import LINE_END
from tiercli.audit.record import AuditRecord
from tiercli.catalog.model import Catalog
from tiercli.errors import BackendError, InvalidInput, Location, Problem
from tiercli.exporters.audit_tally import Tally, TallyState
from tiercli.exporters.followed_file import FollowedFile, Position
from tiercli.signals.label_policy import metric_policies

Decode = Callable[[bytes], AuditRecord]
# Records that are counted in one go: a scrape waits for that long at most.
_BATCH = 5_000


class _State(msgspec.Struct):
    """What a scrape saves."""

    version: int
    tally: TallyState
    malformed: int
    lost: int
    truncations: int
    rotations: int
    position: Position | None


class AuditExporter:
    """Counts what is appended to a log (`count_new`), and is a collector of prometheus_client. Safe between two threads."""

    def __init__(
        self, catalog: Catalog, path: Path, decode: Decode, *, state: Path | None = None, from_end: bool = False
    ) -> None:
        """`decode` makes a record of a line. With `state`, a file, it goes on from the last scrape; else it begins at the start of
        `path`, or at its end. Raises InvalidInput if `state` is another kind of file."""
        self._tally = Tally(catalog)
        self._decode, self._state_file = decode, state
        self._lock = threading.Lock()
        self._malformed = 0
        self.last_malformed = ""
        before = _read_state(state) if state is not None else None
        position = before.position if before is not None else None
        self._file = FollowedFile(path, position, from_end=from_end and before is None, not_a_log=state)
        self._policies = metric_policies(catalog)
        if before is not None:
            self._tally.restore(before.tally)
            self._malformed = before.malformed
            self._file.lost += before.lost
            self._file.truncations += before.truncations
            self._file.rotations += before.rotations

    @property
    def records(self) -> int:
        """How many records were counted."""
        return int(self._tally.counted.counters["ai_gateway_audit_records_total"][()])

    @property
    def malformed(self) -> int:
        """How many lines were not records."""
        return self._malformed

    @property
    def lost(self) -> int:
        """How many files of the log may not have been read to their end."""
        return self._file.lost

    def count_new(self) -> int:
        """Count the lines that were appended; how many they were. Raises BackendError if the log cannot be read."""
        total = 0
        lines = self._lines()
        while True:
            with self._lock:
                counted = 0
                for counted, line in enumerate(lines, 1):
                    self._count(line)
                    if counted == _BATCH:
                        break
            total += counted
            if counted < _BATCH:
                return total

    def count(self, record: AuditRecord | ValueError, place: str) -> None:
        """Count one record, or the error that something at `place` is."""
        with self._lock:
            if isinstance(record, ValueError):
                self._malformed += 1
                self.last_malformed = f"{place}: {record}"
            else:
                self._tally.add(record)

    def collect(self) -> Iterable[Family]:
        """The metrics as they are now, after saving them."""
        with self._lock:
            self._write_state()
            return list(self._families(time.time()))

    def close(self) -> None:
        """Save what was counted, and close the log."""
        with self._lock:
            self._write_state()
            self._file.close()

    def _lines(self) -> Iterator[bytes]:
        try:
            yield from self._file.lines()
        except OSError as error:
            raise BackendError(f"the audit log cannot be read: {error}") from error

    def _count(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            self._tally.add(self._decode(line), size=len(line) + LINE_END)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            self._malformed += 1
            self.last_malformed = str(error)

    def _families(self, now: float) -> Iterator[Family]:
        yield from self._tally.counted.families(self._policies, self._tally.scores(now))
        for name, text, value in (
            ("malformed_lines", "Lines of the audit log that are not records.", self._malformed),
            (
                "unknown_names",
                "Names in records that the catalog does not have; their labels are empty.",
                self._tally.unknown,
            ),
            ("rotations", "Rotations of the audit log that were followed.", self._file.rotations),
            ("truncations", "Truncations of the audit log.", self._file.truncations),
            (
                "lost_files",
                "Files of the audit log that were removed, truncated or compressed before they were read to their end.",
                self._file.lost,
            ),
        ):
            yield CounterMetricFamily(f"tiercli_audit_{name}", text, value=value)

    def _write_state(self) -> None:
        if self._state_file is None:
            return
        file = self._file
        state = _State(
            1, self._tally.state(), self._malformed, file.lost, file.truncations, file.rotations, file.position()
        )
        temporary = self._state_file.with_name(f".{self._state_file.name}.new")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(msgspec.json.encode(state))
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._state_file)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            # What is not saved must not be exposed: it would be counted again after a restart.
            raise BackendError(f"{self._state_file} cannot be written: {error.strerror}") from error


def _read_state(path: Path) -> _State | None:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BackendError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return msgspec.json.decode(text, type=_State)
    except msgspec.DecodeError as error:
        problem = Problem(Location(str(path)), f"not the state of an audit exporter: {error}")
        raise InvalidInput(
            f"{path} is not a state file", [problem], hint="name a file that does not exist yet"
        ) from error
