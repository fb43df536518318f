"""One call as it passes: its request, its answer, and when. It keeps no text, and delays nothing."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping

from tiercli.audit.record import CLIENT_CLOSED
from tiercli.faults.proxy.observing import NO_ANSWER_HEADER, TIMED_OUT, Ending
from tiercli.signals.error_codes import code_of
from tiercli.wires.interface import Reading, StreamReader, Wire

ANSWERED = ""
# A client that hangs up after this silence (seconds) gave up on the upstream; a quicker one had reasons of its own.
PATIENCE_S = 2.0
_HELD = 32 << 20  # bytes of a request, and of an answer, that are kept until they can be read


class ObservedCall:
    """An Observation. `done` is called with it once, when the call has ended."""

    def __init__(self, wire: Wire, headers: Mapping[str, str], done: Callable[[ObservedCall], None]) -> None:
        self.headers = headers
        self.began = self._last = time.perf_counter()  # the event loop's own clock may have no more than milliseconds
        self.seconds = self.silent_s = 0.0
        self.ttft_s: float | None = None
        self.status: int | None = None
        self.answer_headers: Mapping[str, str] = {}
        self.ending = Ending.WHOLE
        self.readable = True
        self.wire, self._done = wire, done
        self._request: list[bytes] = []
        self._request_size = self._held = 0
        self._answer: list[bytes] = []
        self._stream: StreamReader | None = None
        self._reading: Reading | None = None
        self._unpack: Callable[[bytes], bytes] | None = None
        self._over = False

    def request_piece(self, piece: bytes) -> None:
        """A piece of the request's body."""
        self._request_size += len(piece)
        if self._request_size > _HELD:
            self._request.clear()
        else:
            self._request.append(piece)

    def response_started(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer begins."""
        self.status, self.answer_headers = status, headers
        self._last = time.perf_counter()
        encoding = headers.get("Content-Encoding", "identity").lower()
        if encoding in ("gzip", "deflate"):
            self._unpack = _unpacker(encoding)
        elif encoding != "identity":
            self.readable = False
        if headers.get("Content-Type", "").startswith("text/event-stream"):
            self._stream = self.wire.open_stream()

    def response_piece(self, piece: bytes) -> None:
        """A piece of the answer's body was sent to the client."""
        self._last = now = time.perf_counter()
        if not self.readable:
            return
        if self._unpack is not None:
            piece = self._unpacked(piece)
        if self._stream is None:
            self._held += len(piece)
            if self._held <= _HELD:
                self._answer.append(piece)
            else:
                self._answer, self.readable = [], False
            return
        self._stream.feed(piece)
        if self.ttft_s is None and self._stream.reading.content:
            self.ttft_s = now - self.began

    def ended(self, ending: Ending) -> None:
        """The exchange is over."""
        if self._over:
            return
        self._over = True
        now = time.perf_counter()
        self.ending, self.seconds, self.silent_s = ending, now - self.began, now - self._last
        self._done(self)

    @property
    def request(self) -> bytes:
        """The request's body; empty if it was too long to be kept."""
        return b"".join(self._request)

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream."""
        return self._stream is not None

    def reading(self) -> Reading:
        """What was read of the answer."""
        if self._reading is None:
            if self._stream is not None:
                self._reading = self._stream.reading
            elif self.readable and self.status is not None and self.ending is Ending.WHOLE:
                self._reading = self.wire.read_whole(b"".join(self._answer))
            else:
                self._reading = Reading()
        return self._reading

    def code(self) -> str:
        """The attempt's result: a structured error code, CLIENT_CLOSED if the client did not wait for it, or ANSWERED."""
        if self.status is not None and (refused := self._code_of_status(self.status)):
            return refused
        if self.ending is Ending.BROKEN:
            return "CONNECTION_FAILED"
        if self.ending is Ending.CLIENT_GONE and not (self.streams and self.reading().done):
            return "UPSTREAM_TIMEOUT" if self.silent_s >= PATIENCE_S else CLIENT_CLOSED
        return self._code_of_content()

    def _code_of_status(self, status: int) -> str:
        reason = self.answer_headers.get(NO_ANSWER_HEADER) if status == 502 else None
        if reason is not None:
            return "UPSTREAM_TIMEOUT" if reason == TIMED_OUT else "CONNECTION_FAILED"
        code = code_of(status)
        # Some providers answer 400 for a model that they have withdrawn.
        gone = code == "INVALID_REQUEST" and self.readable and self.reading().error == "MODEL_NOT_FOUND"
        return "MODEL_NOT_FOUND" if gone else code

    def _code_of_content(self) -> str:
        if not self.readable:
            return ANSWERED
        reading = self.reading()
        if reading.error:
            return reading.error
        if reading.malformed:
            return "POSTCONDITION_FAILED"
        return ANSWERED if reading.done else "CONNECTION_FAILED"

    def _unpacked(self, piece: bytes) -> bytes:
        assert self._unpack is not None  # noqa: S101 - checked before
        try:
            return self._unpack(piece)
        except zlib.error:
            self.readable = False
            return b""


def _unpacker(encoding: str) -> Callable[[bytes], bytes]:
    """Unpacks a body piece by piece, no more of it at once than may be kept."""
    unpacked = zlib.decompressobj(16 + zlib.MAX_WBITS if encoding == "gzip" else zlib.MAX_WBITS)
    return lambda piece: unpacked.decompress(piece, _HELD)
