"""Server-sent events, as far as the wire formats use them: each `data:` line is one JSON object, or a word that ends it."""

from __future__ import annotations

from collections.abc import Iterator

_LONGEST_LINE = 8 << 20  # bytes


class DataLines:
    """Cuts a stream into what its `data:` lines hold."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._held = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What became whole with this piece. A line that is too long to be held is passed over."""
        if b"\n" not in piece:
            self._hold(piece)
            return
        first, *lines = piece.split(b"\n")
        if self._held:
            first = b"".join([*self._rest, first]) if self._rest else b""
        self._rest, self._held = [], 0
        rest = lines.pop()
        for line in (first, *lines):
            if line.startswith(b"data:"):
                yield line[5:].strip()
        if rest:
            self._hold(rest)

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held <= _LONGEST_LINE:
            self._rest.append(piece)
        else:
            self._rest = []
