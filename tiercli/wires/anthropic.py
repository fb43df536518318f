"""Anthropic's wire: messages."""

from __future__ import annotations

from typing import Any

import msgspec

from tiercli.audit.record import Usage
from tiercli.wires.events import DataSplitter
from tiercli.wires.interface import Reading, Wire, error_code_of

_REFUSAL = "refusal"


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Delta(msgspec.Struct):
    stop_reason: str | None = None
    text: str = ""


class _Block(msgspec.Struct):
    text: str = ""


class _Message(msgspec.Struct):
    content: list[_Block] | None = None
    usage: _Usage | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    """An event of a stream."""

    type: str
    message: _Message | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_NO_ANSWER = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_whole(content: bytes) -> Reading:
    """Read an answer that is not a stream."""
    reading = Reading(done=True)
    try:
        message = _decode(content)
    except _NO_ANSWER:
        reading.malformed = True
        return reading
    reading.refused = message.stop_reason == _REFUSAL
    # A message that was stopped can be empty; without content and without a reason it is not an answer.
    reading.malformed = message.content is None or (not message.content and message.stop_reason is None)
    reading.content = bool(message.content)
    reading.characters = sum(len(block.text) for block in message.content or ())
    if message.usage is not None:
        reading.usage = _merged(None, message.usage)
    return reading


class AnthropicStream:
    """Reads a stream: the first usage is in message_start, and message_delta updates it with the figures of the whole."""

    def __init__(self) -> None:
        self.reading = Reading()
        self._lines = DataSplitter()
        self._usage: Usage | None = None
        self._final = False

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""
        for data in self._lines.feed(piece):
            try:
                self._read(_decode_event(data))
            except _NO_ANSWER:
                self.reading.malformed = True

    def _read(self, event: _Event) -> None:
        reading, kind = self.reading, event.type
        if kind == "content_block_delta":
            reading.content = True
            reading.events += 1
            reading.characters += len(event.delta.text) if event.delta is not None else 0
        elif kind == "message_start" and event.message is not None and event.message.usage is not None:
            self._usage = _merged(None, event.message.usage)
        elif kind == "message_delta":
            if event.delta is not None and event.delta.stop_reason is not None:
                reading.refused |= event.delta.stop_reason == _REFUSAL
            if event.usage is not None:
                self._usage, self._final = _merged(self._usage, event.usage), True
        elif kind == "message_stop":
            reading.done = True
        elif kind == "error":
            reading.error = error_code_of(event.error)
        # If a stream breaks off, its start has the input tokens; the output tokens are estimated.
        if self._usage is not None:
            output = self._usage.output_tokens if self._final else max(self._usage.output_tokens, reading.counted)
            reading.usage = msgspec.structs.replace(self._usage, output_tokens=output)
            reading.partial = not self._final


def _merged(before: Usage | None, update: _Usage) -> Usage:
    """`before` with the figures that `update` has."""
    known = before or Usage()

    def newer(value: int | None, old: int) -> int:
        return old if value is None else max(0, value)

    return Usage(
        newer(update.input_tokens, known.input_tokens),
        newer(update.output_tokens, known.output_tokens),
        newer(update.cache_read_input_tokens, known.cache_read_tokens),
        newer(update.cache_creation_input_tokens, known.cache_write_tokens),
    )


ANTHROPIC = Wire(
    name="anthropic",
    paths=("/messages",),
    read_whole=read_whole,
    open_stream=AnthropicStream,
    credential_headers=("x-api-key", "Authorization"),
    credential=lambda secret: {"x-api-key": secret},
    assumed_headers={"anthropic-version": "2023-06-01"},
)
