"""Following a log file as it grows: whole lines only, over rotation, truncation and a restart of the reader."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

_CHUNK = 1 << 20
_HEAD = 256
_COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".lz4")


class Position(msgspec.Struct, frozen=True):
    """How far a file was read: which file (its inode, and a digest of its first `head` bytes, because inodes are used again), and
    the offset behind the last whole line."""

    inode: int
    offset: int
    head: int = 0
    digest: str = ""


class FollowedFile:
    """Reads the whole lines that are appended to `path`.

    A file that was renamed is read to its end before the next one; several that were renamed meanwhile, in the order in which
    they were last written. A file that is shorter than before, or begins differently, was truncated and is read from its start.
    `lost` counts files that were removed, or compressed, before they were read to their end.
    """

    def __init__(
        self, path: Path, position: Position | None = None, *, from_end: bool = False, not_a_log: Path | None = None
    ) -> None:
        """Go on at `position`, which can be in a file that was rotated meanwhile; without it begin at the start of the file, or
        at its end. `not_a_log` can have a name like that of a rotated file."""
        self._path = path
        self._not_a_log = not_a_log
        self._stream: BinaryIO | None = None
        self._offset = 0  # behind the last whole line that was returned
        self._head = b""  # how the file began when it was last read
        self.truncations = 0
        self.rotations = 0
        self.lost = 0
        if position is not None:
            self._resume(position)
        elif from_end and path.exists():
            self._open(path)
            assert self._stream is not None  # noqa: S101 - just opened
            self._offset = _after_last_line(self._stream)

    def lines(self) -> Iterator[bytes]:
        """The whole lines that were not returned before, each without its line feed. Raises OSError if the file cannot be
        read."""
        while True:
            if self._stream is None:
                if not self._path.exists():
                    return
                self._open(self._path)
            yield from self._appended()
            following = self._following()
            if following is None:
                return
            # Its writer may have appended after it was read to the end, and before it was rotated.
            yield from self._appended()
            self.rotations += 1
            self._open(following)

    def position(self) -> Position | None:
        """Where to go on after a restart; None while the file does not exist."""
        if self._stream is None:
            return None
        head = min(_HEAD, self._offset)
        return Position(os.fstat(self._stream.fileno()).st_ino, self._offset, head, _digest(self._stream, head))

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _resume(self, position: Position) -> None:
        for path in (self._path, *self._rotated_away()):
            with suppress(OSError):
                stream = path.open("rb")
                if _is_at(stream, position):
                    self._stream, self._offset = stream, position.offset
                    return
                stream.close()
        truncated = self._path.exists() and self._path.stat().st_ino == position.inode
        self.truncations += truncated
        self.lost += not truncated

    def _open(self, path: Path) -> None:
        self.close()
        self._stream = path.open("rb")
        self._offset, self._head = 0, b""

    def _appended(self) -> Iterator[bytes]:
        assert self._stream is not None  # noqa: S101 - the callers have opened it
        number = self._stream.fileno()
        head = os.pread(number, _HEAD, 0)
        if os.fstat(number).st_size < self._offset or not head.startswith(self._head):
            self.truncations += 1
            self._offset = 0
        self._head = head
        rest = b""
        self._stream.seek(self._offset)
        while chunk := self._stream.read(_CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                self._offset += len(line) + 1
                yield line

    def _following(self) -> Path | None:
        """The file that was written after the open one; None while the open one is the newest, and while the writer has not made
        the next one."""
        assert self._stream is not None  # noqa: S101 - the callers have opened it
        here = os.fstat(self._stream.fileno())
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return None
        if _identity(current) == _identity(here):
            return None
        later = []
        for path in self._rotated_away():
            with suppress(OSError):
                stat = path.stat()
                if _identity(stat) != _identity(here) and stat.st_mtime_ns > here.st_mtime_ns:
                    self.lost += path.suffix in _COMPRESSED
                    later += [(stat.st_mtime_ns, path)] if path.suffix not in _COMPRESSED else []
        return min(later)[1] if later else self._path

    def _rotated_away(self) -> list[Path]:
        """The files beside the path whose names begin with its name."""
        beside = sorted(self._path.parent.glob(f"{glob.escape(self._path.name)}?*"))
        other = self._not_a_log.resolve() if self._not_a_log is not None else None
        return [path for path in beside if path.is_file() and path.resolve() != other]


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _is_at(stream: BinaryIO, position: Position) -> bool:
    stat = os.fstat(stream.fileno())
    return (
        stat.st_ino == position.inode
        and stat.st_size >= position.offset
        and _digest(stream, position.head) == position.digest
    )


def _digest(stream: BinaryIO, size: int) -> str:
    """The digest of the first `size` bytes; the position for reading does not change."""
    return hashlib.sha256(os.pread(stream.fileno(), size, 0)).hexdigest()


def _after_last_line(stream: BinaryIO) -> int:
    """The offset behind the last line feed."""
    end = os.fstat(stream.fileno()).st_size
    while end:
        begin = max(0, end - _CHUNK)
        line_feed = os.pread(stream.fileno(), end - begin, begin).rfind(b"\n")
        if line_feed >= 0:
            return begin + line_feed + 1
        end = begin
    return 0
