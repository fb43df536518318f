"""OpenAI's wire: chat completions, completions, embeddings and responses, as OpenAI, vLLM, Ollama and llama.cpp serve them."""

from __future__ import annotations

from typing import Any

import msgspec

from tiercli.audit.record import Usage
from tiercli.wires.events import DataSplitter
from tiercli.wires.interface import Reading, Wire, error_code_of

_DONE = b"[DONE]"
_FILTERED = "content_filter"


class _Message(msgspec.Struct):
    """A message, or a piece of one."""

    content: str | list[Any] | None = None
    refusal: str | None = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None
    reasoning_content: Any = None  # where the model thinks before it answers
    reasoning: Any = None

    @property
    def has_content(self) -> bool:
        return bool(
            self.content
            or self.tool_calls
            or self.reasoning_content
            or self.reasoning
            or self.refusal
            or self.function_call
            or self.audio
        )


class _Choice(msgspec.Struct):
    message: _Message | None = None
    delta: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    """An answer that is whole, or one event of a stream."""

    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    object: str | None = None
    data: msgspec.Raw = msgspec.Raw()  # embeddings
    # Of the responses API.
    output: msgspec.Raw = msgspec.Raw()
    type: str = ""
    delta: Any = None
    response: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_NO_ANSWER = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_whole(content: bytes) -> Reading:
    """Read an answer that is not a stream."""
    reading = Reading(done=True)
    try:
        answer = _decode(content)
    except _NO_ANSWER:
        reading.malformed = True
        return reading
    reading.usage = read_usage(answer.usage)
    if answer.error is not None:
        reading.error = error_code_of(answer.error)
    elif answer.choices:
        for choice in answer.choices:
            _read_whole_choice(choice, reading)
    elif bytes(answer.output).startswith(b"["):
        reading.content = True
    elif bytes(answer.data).startswith(b"["):
        reading.content = True
    else:
        reading.malformed = True
    return reading


def _read_whole_choice(choice: _Choice, reading: Reading) -> None:
    message = choice.message
    text = choice.text if message is None else message.content
    if text is None and (message is None or not message.has_content):
        reading.malformed = True
        return
    reading.content = True
    reading.refused |= choice.finish_reason == _FILTERED or (message is not None and bool(message.refusal))
    reading.characters += len(text) if isinstance(text, str) else 0


class OpenAIStream:
    """Reads a stream."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.only_usage = False  # the last piece held usage and nothing else
        self._lines = DataSplitter()
        self._began = False

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""
        self.only_usage = False
        for data in self._lines.feed(piece):
            if data == _DONE:
                self.reading.done = True
                # An end without anything before it is not an answer.
                self.reading.malformed |= not self._began
                continue
            try:
                event = _decode(data)
            except _NO_ANSWER:
                self.reading.malformed = True
                continue
            self._read(event)

    def _read(self, event: _Answer) -> None:
        reading = self.reading
        self.only_usage = event.usage is not None and not event.choices
        if event.error is not None:
            reading.error = error_code_of(event.error)
            return
        if event.type:
            self._read_response(event)
            return
        if event.usage is not None:
            reading.usage = read_usage(event.usage) or reading.usage
        for choice in event.choices or ():
            delta = choice.delta
            if delta is not None and delta.has_content:
                self._count(delta.content)
            elif choice.text:
                self._count(choice.text)
            if delta is not None and delta.refusal:
                reading.refused = True
            if choice.finish_reason is not None:
                reading.done = self._began = True
                reading.refused |= choice.finish_reason == _FILTERED

    def _read_response(self, event: _Answer) -> None:
        """An event of the responses API, whose types name it."""
        reading, kind = self.reading, event.type
        if kind.endswith(".delta"):
            self._count(event.delta)
            reading.refused |= kind == "response.refusal.delta"
        elif kind in ("response.completed", "response.incomplete"):
            reading.done = True
            reading.usage = read_usage((event.response or {}).get("usage"))
        elif kind in ("response.failed", "error"):
            reading.error = error_code_of((event.response or {}).get("error"))

    def _count(self, text: Any) -> None:
        self._began = self.reading.content = True
        self.reading.events += 1
        self.reading.characters += len(text) if isinstance(text, str) else 0


def read_usage(usage: Any) -> Usage | None:
    """Tokens, those from and for the cache separately; None if there is no usage."""
    if not isinstance(usage, dict):
        return None
    prompt, answer = _whole(usage, "prompt_tokens", "input_tokens"), _whole(usage, "completion_tokens", "output_tokens")
    if prompt is None:
        return None
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    details = details if isinstance(details, dict) else {}
    cached, written = _whole(details, "cached_tokens") or 0, _whole(details, "cache_write_tokens") or 0
    return Usage(max(0, prompt - cached - written), answer or 0, cached, written)


def _whole(values: dict[str, Any], *names: str) -> int | None:
    number = next((values[name] for name in names if values.get(name) is not None), None)
    return max(0, int(number)) if isinstance(number, int | float) else None


OPENAI = Wire(
    name="openai",
    paths=("/chat/completions", "/completions", "/embeddings", "/responses"),
    read_whole=read_whole,
    open_stream=OpenAIStream,
    credential_headers=("Authorization",),
    credential=lambda secret: {"Authorization": f"Bearer {secret}"},
    assumed_headers={},
)
