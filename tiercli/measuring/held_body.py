"""The beginning of a body that passes: unpacked, and kept up to a limit until it can be read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_AT_ONCE = 1 << 20  # bytes that are unpacked at once: a small body can unpack to gigabytes
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_UNPACKED = ("gzip", "x-gzip", "deflate")


class HeldBody:
    """A body, piece by piece. `size`: bytes that came, as they came. `cut`: it was longer, once unpacked, than `limit`, and
    `content` is its beginning. `readable`: False where its encoding is not known here, or does not hold."""

    def __init__(self, encoding: str, limit: int) -> None:
        """`encoding`: the header Content-Encoding."""
        encodings = [name for part in encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
        self.readable = not encodings or (len(encodings) == 1 and encodings[0] in _UNPACKED)
        self.cut = False
        self.size = 0
        self._unpacker = _Unpacker(zlib_first=encodings[0] == "deflate") if encodings and self.readable else None
        self._room = limit
        self._held: list[bytes] = []

    def unpack(self, piece: bytes) -> Iterator[bytes]:
        """What a piece adds to the body; nothing once it cannot be read."""
        self.size += len(piece)
        if self._unpacker is None:
            if self.readable:
                yield piece
            return
        try:
            yield from self._unpacker.feed(piece)
        except zlib.error:
            self.readable, self._unpacker = False, None

    def add(self, piece: bytes) -> None:
        """Keep what a piece adds to the body, up to the limit."""
        if self.cut:
            self.size += len(piece)
            return
        for part in self.unpack(piece):
            self._held.append(part[: self._room])
            self.cut = len(part) > self._room
            self._room -= min(self._room, len(part))
            if self.cut:
                break

    @property
    def content(self) -> bytes:
        """What is kept; empty if it cannot be read."""
        return b"".join(self._held) if self.readable else b""


class _Unpacker:
    """Unpacks gzip, of one member or several, and deflate, which some servers send without the header that belongs to it."""

    def __init__(self, *, zlib_first: bool) -> None:
        self._may_be_raw, self._seen = zlib_first, b""
        self._unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._ended = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Raises zlib.error if it is neither."""
        while piece:
            if self._unpacking.eof:
                self._ended, self._unpacking = True, zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                unpacked = self._unpacking.decompress(piece, _AT_ONCE)
            except zlib.error:
                if self._ended:  # what some servers append
                    return
                if not self._may_be_raw:
                    raise
                self._may_be_raw, self._unpacking = False, zlib.decompressobj(-zlib.MAX_WBITS)
                piece = self._seen + piece
                continue
            self._may_be_raw &= not unpacked
            self._seen = self._seen + piece if self._may_be_raw else b""
            if unpacked:
                yield unpacked
            piece = self._unpacking.unused_data if self._unpacking.eof else self._unpacking.unconsumed_tail
