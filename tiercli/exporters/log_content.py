"""The content of a log's file, whatever the file is called and however it is compressed: which it is, and the lines after those
that were read."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

_CHUNK = 1 << 20
_HEAD = 256
_TAIL = 256
_LONGEST_FIRST_LINE = 1 << 20
_FIRST_CHUNK = 1 << 13
_OPENERS: dict[str, Callable[[Path], object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_UNREADABLE = (".zst", ".lz4", ".lzo", ".Z", ".zip", ".br")
# What a compressed file raises that is not whole, or not yet.
NOT_WHOLE = (EOFError, OSError, zlib.error, lzma.LZMAError)


@dataclass(slots=True)
class Content:
    """What a file holds, as far as it was read. `first`: the digest of its first line, "" before there is one; `offset`: behind
    the last line that was read; `tail`: a mark of that line's end, "" where it was not noted; `head`: how the first line begins."""

    first: str = ""
    offset: int = 0
    tail: str = ""
    head: bytes = b""
    _last: bytes | None = None  # the line before `offset`

    def mark(self) -> str:
        """A mark of the end of the last line that was read: its size and digest."""
        if self._last is None:
            return self.tail
        end = self._last[-_TAIL:]
        return f"{len(end)}:{_digest(end)}"

    def begins(self, stream: BinaryIO) -> bool:
        """Whether an open file is as long as was read, and still begins as it did. Cheap."""
        if not self.offset:
            return True
        number = stream.fileno()
        head = os.pread(number, _HEAD, 0).partition(b"\n")[0]
        self.head = self.head or head
        return os.fstat(number).st_size >= self.offset and head == self.head

    def goes_on_in(self, stream: BinaryIO) -> bool:
        """Whether an open file, not compressed, holds all that was read, and may hold more."""
        if not self.offset:
            return True
        if os.fstat(stream.fileno()).st_size < self.offset or first_line(stream) != self.first:
            return False
        size, _, digest = self.mark().partition(":")
        return not size or _digest(os.pread(stream.fileno(), int(size), self.offset - 1 - int(size))) == digest

    def lines(self, stream: BinaryIO, *, here: bool = False) -> Iterator[bytes]:
        """The whole lines of a file after those that were read, each without its line feed. `here`: the stream is there already.
        Raises what NOT_WHOLE has."""
        if not here:
            stream.seek(self.offset)
        rest = b""
        while chunk := stream.read(_CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            if whole and not self.offset:
                self.first, self.head = _digest(whole[0][:_LONGEST_FIRST_LINE]), whole[0][:_HEAD]
            for line in whole:
                self._last = line
                self.offset += len(line) + 1
                yield line


def is_compressed(path: Path) -> bool:
    """Whether a file's name says so, in a form that is read here."""
    return path.suffix in _OPENERS


def is_unreadable(path: Path) -> bool:
    """Whether a file's name says that it is compressed in a form that is not read here."""
    return path.suffix in _UNREADABLE


def open_content(path: Path) -> BinaryIO:
    """A file's content. Raises OSError."""
    opener = _OPENERS.get(path.suffix)
    return open_plain(path) if opener is None else cast(BinaryIO, opener(path))


def open_plain(path: Path) -> BinaryIO:
    """A file as it is, whatever its name says. A buffer would keep what was truncated meanwhile. Raises OSError."""
    return cast(BinaryIO, path.open("rb", buffering=0))


def first_line(stream: BinaryIO) -> str:
    """The digest of the first line of an open file; "" before it is whole. The position for reading changes."""
    stream.seek(0)
    begin = b""
    while chunk := stream.read(_FIRST_CHUNK):
        begin += chunk
        if b"\n" in chunk or len(begin) >= _LONGEST_FIRST_LINE:
            return _digest(begin.partition(b"\n")[0][:_LONGEST_FIRST_LINE])
    return ""


def offset_after_last_line(stream: BinaryIO) -> int:
    """The offset behind the last line feed."""
    end = os.fstat(stream.fileno()).st_size
    while end:
        begin = max(0, end - _CHUNK)
        line_feed = os.pread(stream.fileno(), end - begin, begin).rfind(b"\n")
        if line_feed >= 0:
            return begin + line_feed + 1
        end = begin
    return 0


def skip(stream: BinaryIO, size: int) -> bool:
    """Read on by `size` bytes; False where there are fewer. Raises what NOT_WHOLE has."""
    while size:
        skipped = len(stream.read(min(size, _CHUNK)))
        if not skipped:
            return False
        size -= skipped
    return True


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
