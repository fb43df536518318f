"""One call as it passes: its request, its answer, and when. It keeps no text, and delays nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tiercli.audit.record import CLIENT_CLOSED
from tiercli.faults.proxy.observing import NO_ANSWER_HEADER, TIMED_OUT, Ending
from tiercli.measuring.held_body import HeldBody
from tiercli.signals.error_codes import code_of
from tiercli.wires.interface import Reading, StreamReader, Wire

ANSWERED = ""
# A client that hangs up after this silence (seconds) gave up on the upstream; a quicker one had reasons of its own.
PATIENCE_S = 2.0
_SSE = (b"data:", b"event:", b":")  # how a stream begins


class ObservedCall:
    """An Observation. `done` is called with it once, when the call has ended."""

    def __init__(
        self, wire: Wire, headers: Mapping[str, str], done: Callable[[ObservedCall], None], limit: int
    ) -> None:
        """`limit`: bytes of the request, and of an answer that is no stream, that are kept until they can be read."""
        self.headers = headers
        self.began = self._last = time.perf_counter()  # the event loop's own clock may have no more than milliseconds
        self.seconds = self.silent_s = 0.0
        self.ttft_s: float | None = None
        self.status: int | None = None
        self.answer_headers: Mapping[str, str] = {}
        self.ending = Ending.WHOLE
        self.request = HeldBody(headers.get("Content-Encoding", ""), limit)
        self.wire, self._done, self._limit = wire, done, limit
        self._answer = HeldBody("", limit)
        self._stream: StreamReader | None = None
        self._reading: Reading | None = None
        self._over = False

    def request_piece(self, piece: bytes) -> None:
        """A piece of the request's body."""
        self.request.add(piece)

    def response_started(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer begins."""
        self.status, self.answer_headers = status, headers
        self._last = time.perf_counter()
        self._answer = HeldBody(headers.get("Content-Encoding", ""), self._limit)
        if headers.get("Content-Type", "").strip().lower().startswith("text/event-stream"):
            self._stream = self.wire.open_stream()

    def response_piece(self, piece: bytes) -> None:
        """A piece of the answer's body was sent to the client."""
        self._last = now = time.perf_counter()
        if self._stream is None:
            self._answer.add(piece)
            return
        for part in self._answer.unpack(piece):
            self._stream.feed(part)
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
    def streams(self) -> bool:
        """Whether the answer is a stream."""
        return self._stream is not None

    @property
    def readable(self) -> bool:
        """Whether the whole answer could be read."""
        return self._answer.readable and not self._answer.cut

    def reading(self) -> Reading:
        """What was read of the answer."""
        if self._reading is None:
            self._reading = self._read()
        return self._reading

    def _read(self) -> Reading:
        content = self._answer.content  # empty where a stream was read as it came
        if self._stream is None and content.lstrip().startswith(_SSE):
            self._stream = self.wire.open_stream()  # one whose header does not say so
            self._stream.feed(content)
        if self._stream is not None:
            self._stream.close()
            return self._stream.reading
        if self._answer.readable and self.status is not None and self.ending is Ending.WHOLE:
            return self.wire.read_whole(content, self._answer.cut)
        return Reading()

    def code(self) -> str:
        """The attempt's result: a structured error code, CLIENT_CLOSED if the client did not wait for it, or ANSWERED."""
        if self.status is not None and (refused := self._code_of_status(self.status)):
            return refused
        if self.streams and (self.reading().done or self.reading().error):
            return self._code_of_content()  # however the connection ended then
        if self.ending is Ending.BROKEN:
            return "CONNECTION_FAILED"
        if self.ending is Ending.CLIENT_GONE:
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
        reading = self.reading()
        if reading.error or not self.readable:
            return reading.error or ANSWERED
        if reading.malformed:
            return "POSTCONDITION_FAILED"
        return ANSWERED if reading.done else "CONNECTION_FAILED"
