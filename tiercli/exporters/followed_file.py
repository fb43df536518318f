"""Following a log file as it grows: each whole line once, over rotation, copies, truncation, compression and a restart of the reader.

What a file is, its content says: a log's file, its copies and its compressed copies all begin with the same line. So a backup is not
taken for a file that was rotated away, and what is left to read of one is read from whatever still has it. An inode says less: it
is used again, and a copy has its own.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from tiercli.exporters.log_content import (
    NOT_WHOLE,
    Content,
    first_line,
    is_compressed,
    is_unreadable,
    offset_after_last_line,
    open_content,
    open_plain,
    skip,
)

_REMEMBERED = 1_000  # contents that are read to their end
_COMPRESSING_S = 60.0  # a compressed file that is not whole may still be written for so long


class Position(msgspec.Struct, frozen=True):
    """How far a log was read: in which file (its inode), the digest of its first line, the offset behind the last line that was
    read, and a mark of that line. `before`: first line and offset of the file before it, whose writer may not have
    changed over yet. `finished`: the first lines of those that are read to their end, and of backups. `unreadable`: inodes of files
    that cannot be read, and need not be."""

    inode: int
    offset: int
    first: str = ""
    tail: str = ""
    before: tuple[str, int] | None = None
    finished: tuple[str, ...] = ()
    unreadable: tuple[int, ...] = ()


class FollowedFile:
    """Reads the whole lines that are appended to `path`, and those of the files beside it whose names begin with its name, as far
    as they are its content. `rotations` counts changes to a new content, `truncations` those of the file itself. `lost` counts
    contents whose end may not have been read: removed, truncated, or compressed in a form that is not read here, before
    they were read to it."""

    def __init__(
        self, path: Path, position: Position | None = None, *, from_end: bool = False, not_a_log: Path | None = None
    ) -> None:
        """Go on at `position`; without it begin at the start of the file, or at its end. `not_a_log` can have a name like that of a
        rotated file."""
        self._path = path
        self._not_a_log = not_a_log.resolve() if not_a_log is not None else None
        self._stream: BinaryIO | None = None
        self._content = Content()  # of `path`
        self._before: Content | None = None  # the one before: its writer may still append to it
        self._before_stream: BinaryIO | None = None
        self._finished: dict[str, None] = {}
        self._unreadable: set[int] = set()
        self._passed: set[tuple[int, int, int]] = set()  # states of files that need not be opened again
        self._seen_at = -1  # when the folder last changed, as far as it was looked at
        self._owed = False  # the content before may have lines that were not read, and is no open file
        self._resumes_at = position  # until the first lines are asked for
        self._was_away = position is not None
        self.truncations = 0
        self.rotations = 0
        self.lost = 0
        if position is None:
            self._pass_over_old(from_end)

    def lines(self) -> Iterator[bytes]:
        """The whole lines that were not returned before, each without its line feed. Raises OSError if a file cannot be read."""
        if self._resumes_at is not None:
            self._resume(self._resumes_at)
            self._resumes_at = None
        if self._stream is None:
            yield from self._look_beside()
            if not self._open():
                return
        while self._stream is not None:
            yield from self._late()
            yield from self._appended()
            if not self._is_rotated():
                break
            # Its writer may have appended after it was read to the end, and before it was rotated.
            yield from self._appended()
            self._put_behind(self._stream)
            self.rotations += 1
            yield from self._look_beside()  # several may have been rotated away meanwhile
            self._open()
        yield from self._look_beside()

    def position(self) -> Position | None:
        """Where to go on after a restart; None before there was a file."""
        if self._resumes_at is not None:
            return self._resumes_at
        content, stream = (self._content, self._stream) if self._stream is not None else (self._before, None)
        if content is None:
            return None
        before = self._before if stream is not None and self._before is not None and self._before.first else None
        return Position(
            os.fstat(stream.fileno()).st_ino if stream is not None else 0,
            content.offset,
            content.first,
            content.mark(),
            (before.first, before.offset) if before is not None else None,
            tuple(self._finished),
            tuple(self._unreadable),
        )

    def close(self) -> None:
        """Close the files."""
        for stream in (self._stream, self._before_stream):
            if stream is not None:
                stream.close()
        self._stream = self._before_stream = None

    def _open(self) -> bool:
        with suppress(FileNotFoundError):
            self._stream = open_plain(self._path)
        return self._stream is not None

    def _pass_over_old(self, to_end: bool) -> None:
        self._unreadable = {stat.st_ino for path, stat in self._beside() if is_unreadable(path)}
        for path, _ in self._beside():
            with suppress(*NOT_WHOLE), open_content(path) as stream:
                self._finish(first_line(stream))
        if to_end and self._open():
            assert self._stream is not None  # noqa: S101 - just opened
            self._content = Content(first_line(self._stream), offset_after_last_line(self._stream))

    def _resume(self, position: Position) -> None:
        self._finished = dict.fromkeys(position.finished)
        self._unreadable = set(position.unreadable)
        read = Content(position.first, position.offset, position.tail)
        before = Content(*position.before) if position.before is not None else None
        truncated = False
        if self._open():
            assert self._stream is not None  # noqa: S101 - just opened
            same_file = os.fstat(self._stream.fileno()).st_ino == position.inode
            if same_file and not read.first:  # of a version that noted no first line
                read.first = first_line(self._stream)
            if read.goes_on_in(self._stream):
                self._content, self._before = read, before
                return
            truncated = same_file
            self._stream.close()
            self._stream = None
        self.truncations += truncated
        self.rotations += not truncated
        if not read.first:  # nothing was read of it: its writer may not have changed over yet
            self._before = before
            return
        self._before, self._owed = read, True
        if before is not None:
            self._finish(before.first)

    def _appended(self) -> Iterator[bytes]:
        assert self._stream is not None  # noqa: S101 - the callers have opened it
        if not self._content.begins(self._stream):
            self.truncations += 1
            truncated = self._stream
            self._put_behind(None)
            self._stream = truncated
            yield from self._look_beside()
        yield from self._content.lines(self._stream)

    def _late(self) -> Iterator[bytes]:
        """What is appended to a file after it was rotated away."""
        if self._before is not None and self._before_stream is not None:
            yield from self._before.lines(self._before_stream)

    def _is_rotated(self) -> bool:
        """Whether the path names another content now. What replaces a file by a longer copy of it (an editor) changes none."""
        assert self._stream is not None  # noqa: S101 - the callers have opened it
        here = os.fstat(self._stream.fileno())
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return False
        if (current.st_dev, current.st_ino) == (here.st_dev, here.st_ino):
            return False
        if here.st_nlink or not self._content.offset:  # it has another name now
            return True
        with suppress(FileNotFoundError):
            replacing = open_plain(self._path)
            if self._content.goes_on_in(replacing):
                self._stream.close()
                self._stream = replacing
                return False
            replacing.close()
        return True

    def _put_behind(self, stream: BinaryIO | None) -> None:
        """The content of `path` is the one before from now on, held by `stream`, and another begins."""
        if self._before is not None:
            self._finish(self._before.first)
        if self._before_stream is not None:
            self._before_stream.close()
        self._before, self._before_stream, self._owed = self._content, stream, stream is None
        self._content, self._stream = Content(), None
        self._seen_at = -1

    def _finish(self, first: str) -> None:
        if first:
            self._finished[first] = None
            while len(self._finished) > _REMEMBERED:
                del self._finished[next(iter(self._finished))]

    def _look_beside(self) -> Iterator[bytes]:
        """Read what the files beside the path have that was not read."""
        changed_at = self._path.parent.stat().st_mtime_ns
        if changed_at == self._seen_at:
            return
        self._seen_at = changed_at
        here = {self._content.first, self._first_line_of(self._path)}
        if self._stream is not None:  # it may be truncated, or replaced
            here.add(first_line(self._stream))
        contents: dict[str, list[Path]] = {}
        for path in self._not_passed():
            first = self._first_line_of(path)
            if first and (self._is_before(first) or first not in here | self._finished.keys()):
                contents.setdefault(first, []).append(path)
            elif first in self._finished:
                self._pass(path)
        held = False
        for first, paths in contents.items():
            content = self._before if self._before is not None and self._is_before(first) else Content()
            for path in sorted(paths, key=_longest_first):
                holds = yield from self._rest(path, content)
                held |= holds and content is self._before
            if content is not self._before:
                self._finish(first)
                self.rotations += 1
        self._count_lost(held)

    def _rest(self, path: Path, content: Content) -> Generator[bytes, None, bool]:
        """The lines of a file after those that were read of its content; whether it has as much as was read."""
        compressed, holds = is_compressed(path), False
        try:
            with open_content(path) as stream:
                holds = skip(stream, content.offset) if compressed else content.goes_on_in(stream)
                if holds:
                    yield from content.lines(stream, here=compressed)
            if holds and not compressed and content is self._before and self._before_stream is None:
                self._before_stream = open_plain(path)
            self._pass(path)
        except NOT_WHOLE:
            self._note_not_whole(path)
        return holds

    def _count_lost(self, held: bool) -> None:
        unreadable = {stat.st_ino for path, stat in self._beside() if is_unreadable(path)}
        # While it ran, they were read before they were compressed.
        new = len(unreadable - self._unreadable) if self._was_away else 0
        self.lost += max(new, self._owed and not held)
        self._unreadable, self._owed, self._was_away = unreadable, False, False

    def _is_before(self, first: str) -> bool:
        return self._before is not None and first == self._before.first

    def _first_line_of(self, path: Path) -> str:
        try:
            with open_content(path) as stream:
                return first_line(stream)
        except FileNotFoundError:
            return ""
        except NOT_WHOLE:
            self._note_not_whole(path)
            return ""

    def _not_passed(self) -> list[Path]:
        """Files that may have something new, what was written last at the end."""
        files = [(stat.st_mtime_ns, path) for path, stat in self._beside() if _state_of(stat) not in self._passed]
        return [path for _, path in sorted(files) if not is_unreadable(path)]

    def _pass(self, path: Path) -> None:
        with suppress(OSError):
            self._passed.add(_state_of(path.stat()))

    def _note_not_whole(self, path: Path) -> None:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < _COMPRESSING_S:
                self._seen_at = -1  # look again
            else:
                self._pass(path)
                self.lost += 1

    def _beside(self) -> list[tuple[Path, os.stat_result]]:
        files = []
        for path in self._path.parent.glob(f"{glob.escape(self._path.name)}?*"):
            with suppress(OSError):
                if path.is_file() and path.resolve() != self._not_a_log:
                    files.append((path, path.stat()))
        return files


def _longest_first(path: Path) -> tuple[bool, int]:
    """What is compressed last: how long its content is shows when it is read."""
    with suppress(OSError):
        return is_compressed(path), -path.stat().st_size
    return True, 0


def _state_of(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
