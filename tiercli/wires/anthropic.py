"""Anthropic's wire: messages, as Anthropic, and gateways and servers in its form, serve them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tiercli.wires.events import EventStream
from tiercli.wires.interface import Reading, Wire, whole_number
from tiercli.wires.json_text import entry, read_json

_REFUSAL = "refusal"


class _Message(msgspec.Struct):
    """An answer that is whole, or the message at the start of a stream."""

    type: Any = None
    model: Any = None
    content: Any = None
    usage: Any = None
    stop_reason: Any = None
    error: Any = None


class _Event(msgspec.Struct):
    """An event of a stream."""

    type: Any = None
    message: Any = None
    content_block: Any = None
    delta: Any = None
    usage: Any = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Message)
_event_decoder = msgspec.json.Decoder(_Event)


def read_whole(content: bytes, cut: bool = False) -> Reading:
    """Read an answer that is not a stream."""
    reading = Reading(done=True)
    message = read_json(content, _decoder, cut=cut)
    if message is None:
        reading.malformed = True
        return reading
    reading.model = message.model if isinstance(message.model, str) else ""
    _note_usage(message.usage, reading)
    if message.error or message.type == "error":
        reading.note_error(message.error or message.type)
        return reading
    reading.refused = message.stop_reason == _REFUSAL
    # A message that was stopped can be empty; without content and without a reason it is not an answer.
    reading.malformed = not isinstance(message.content, list | str) or not (message.content or message.stop_reason)
    if message.content and not reading.malformed:
        blocks = message.content if isinstance(message.content, list) else [message.content]
        reading.note_text(*blocks, *(_inputs(block) for block in blocks))
    return reading


class AnthropicStream(EventStream):
    """Reads a stream: the first usage is in message_start, and message_delta updates it with the figures of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.reading.partial = True  # until message_delta has said the output

    def _take(self, data: bytes) -> bool:
        event = read_json(data, _event_decoder)
        if event is None or not (event.type or event.error):
            return False
        if not self.reading.done:  # nobody reads what follows the end
            self._read(event)
        return True

    def _read(self, event: _Event) -> None:
        reading, kind = self.reading, event.type
        if kind == "content_block_delta":
            reading.events += 1
            reading.note_text(*(entry(event.delta, name) for name in ("text", "thinking", "partial_json")))
        elif kind == "content_block_start":
            block = event.content_block
            if entry(block, "type") not in (None, "text", "thinking"):  # a call of a tool, which may have no input
                reading.note_text(entry(block, "name"))
        elif kind == "message_start":
            model = entry(event.message, "model")
            reading.model = model if isinstance(model, str) else ""
            _note_usage(entry(event.message, "usage"), reading)
        elif kind == "message_delta":
            reading.refused |= entry(event.delta, "stop_reason") == _REFUSAL
            _note_usage(event.usage, reading)
            said = whole_number(entry(event.usage, "output_tokens"))
            reading.partial &= not said and (said is None or reading.content)
        elif kind == "message_stop":
            reading.done = True
        elif kind == "error" or event.error:
            reading.note_error(event.error or kind)


def _note_usage(usage: Any, reading: Reading) -> None:
    written, by_age = entry(usage, "cache_creation_input_tokens"), entry(usage, "cache_creation")
    if not written and isinstance(by_age, Mapping):  # for five minutes, for an hour
        written = sum(tokens for tokens in by_age.values() if isinstance(tokens, int))
    reading.tokens.say(
        prompt=entry(usage, "input_tokens"),
        answer=entry(usage, "output_tokens"),
        cache_read=entry(usage, "cache_read_input_tokens"),
        cache_write=written,
    )


def _inputs(block: Any) -> str:
    """The input of a tool as text."""
    found = entry(block, "input")
    return msgspec.json.encode(found).decode() if found else ""


ANTHROPIC = Wire(
    name="anthropic",
    paths=("/messages",),
    read_whole=read_whole,
    open_stream=AnthropicStream,
    credential_headers=("x-api-key", "Authorization"),
    credential=lambda secret: {"x-api-key": secret},
    assumed_headers={"anthropic-version": "2023-06-01"},
)
