"""Server-sent events, cut out of a stream wherever its pieces end. A piece that ends no line costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterator


class LineSplitter:
    """Cuts a stream into lines. A line longer than `longest` bytes is left out."""

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece, each without its line feed."""
        if b"\n" not in piece:
            self._hold(piece)
            return []
        lines = piece.split(b"\n")
        if self._size:
            too_long = self._longest is not None and self._size > self._longest
            lines[0] = b"" if too_long else b"".join([*self._held, lines[0]])
        self._held, self._size = [], 0
        self._hold(lines.pop())
        return lines

    def rest(self) -> bytes:
        """What has come of a line that has not ended."""
        return b"".join(self._held)

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._size += len(piece)
        if self._longest is None or self._size <= self._longest:
            self._held.append(piece)
        else:
            self._held = []


class DataSplitter:
    """Cuts a stream into the contents of its `data:` lines. In the wire formats each is one JSON object, or a word that ends
    the stream."""

    def __init__(self) -> None:
        self._lines = LineSplitter(longest=8 << 20)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data that ends in this piece."""
        for line in self._lines.feed(piece):
            if line.startswith(b"data:"):
                yield line[5:].strip()


class EventSplitter:
    """Cuts a stream into whole events: lines up to an empty one. Put together, the events and the rest are the stream."""

    def __init__(self) -> None:
        self._lines = LineSplitter()
        self._event: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The events that end in this piece, each with its empty line."""
        for line in self._lines.feed(piece):
            self._event.append(line + b"\n")
            if line in (b"", b"\r"):
                yield b"".join(self._event)
                self._event.clear()

    def rest(self) -> bytes:
        """What has come of an event that has not ended."""
        return b"".join([*self._event, self._lines.rest()])
