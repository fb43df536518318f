"""Server-sent events, cut out of a stream wherever its pieces end. A line ends with LF, CR, or CR LF. A piece that ends no line
costs next to nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from tiercli.wires.interface import Reading

_DATA = b"data:"
_BOM = b"\xef\xbb\xbf"
_LONGEST = 8 << 20  # bytes of a line that are held


class LineSplitter:
    """Cuts a stream into lines, each with its end. Of a line longer than `longest` bytes only the end is left."""

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest
        self._held: list[bytes] = []
        self._size = 0
        # A CR at the end of a piece may be the first half of CR LF: it waits, unless this stream ends lines with CR alone.
        self._cr = b""
        self._cr_alone = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece."""
        if self._cr:
            piece, self._cr = self._cr + piece, b""
        if not self._cr_alone and piece.endswith(b"\r"):
            piece, self._cr = piece[:-1], b"\r"
        lines = piece.splitlines(keepends=True)
        rest = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
        if lines:
            self._cr_alone |= any(line.endswith(b"\r") for line in lines)
            if self._size:
                lines[0] = lines[0][len(lines[0].rstrip(b"\r\n")) :] if self._is_too_long() else self._joined(lines[0])
            self._held, self._size = [], 0
        self._hold(rest)
        return lines

    def rest(self) -> bytes:
        """What has come of a line that has not ended."""
        return self._joined(self._cr)

    def _joined(self, end: bytes) -> bytes:
        return b"".join([*self._held, end])

    def _is_too_long(self) -> bool:
        return self._longest is not None and self._size > self._longest

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._size += len(piece)
        if self._is_too_long():
            self._held = []
        else:
            self._held.append(piece)


class EventSplitter:
    """Cuts a stream into whole events: lines up to an empty one. Put together, the events and the rest are the stream."""

    def __init__(self) -> None:
        self._lines = LineSplitter()
        self._event: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The events that end in this piece, each with its empty line."""
        for line in self._lines.feed(piece):
            self._event.append(line)
            if not line.rstrip(b"\r\n"):
                yield b"".join(self._event)
                self._event.clear()

    def rest(self) -> bytes:
        """What has come of an event that has not ended."""
        return b"".join([*self._event, self._lines.rest()])


class EventStream(ABC):
    """Reads a stream: each event is one JSON object, or a word that ends the stream. Usually that is one `data:` line. One
    that cannot be read by itself is read together with the lines up to the next empty one, as the standard says."""

    def __init__(self) -> None:
        self.reading = Reading()
        self._lines = LineSplitter(longest=_LONGEST)
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""
        for line in self._lines.feed(piece):
            self._read_line(line.rstrip(b"\r\n"))

    def close(self) -> None:
        """The stream is over, whether or not its last line has ended."""
        self._read_line(self._lines.rest().rstrip(b"\r\n"))
        self._read_line(b"")

    @abstractmethod
    def _take(self, data: bytes) -> bool:
        """Read the data of an event; False where it is none."""

    def _read_line(self, line: bytes) -> None:
        line = line.removeprefix(_BOM)
        if line.startswith(_DATA):
            data = line[len(_DATA) :].strip()
            if data and (self._data or not self._take(data)):
                self._data.append(data)
        elif not line and self._data:
            whole, alone = b"\n".join(self._data), len(self._data) == 1
            self._data.clear()
            self.reading.malformed |= alone or not self._take(whole)
