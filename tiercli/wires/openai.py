"""OpenAI's wire: chat completions, completions, embeddings and responses, as OpenAI, Azure, vLLM, SGLang, llama.cpp, Ollama,
OpenRouter, Groq and others serve them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tiercli.wires.events import EventStream
from tiercli.wires.interface import Reading, Wire, whole_number
from tiercli.wires.json_text import entry, read_json

_DONE = b"[DONE]"
# Why a choice ended. A refusal can have a reason behind it ("content_filter: PROHIBITED_CONTENT", of Google's).
_REFUSED = ("content_filter", "refusal")
# OpenRouter, SGLang and DeepSeek: what came is not the answer.
_FAILED = ("error", "abort", "insufficient_system_resource")


class _Choice(msgspec.Struct):
    index: Any = 0
    message: Any = None
    delta: Any = None
    text: Any = None
    finish_reason: Any = None
    error: Any = None
    usage: Any = None  # of Moonshot

    @property
    def finish(self) -> str:
        """Why it ended, "" if it did not. Some servers write "" for null."""
        reason = entry(self.finish_reason, "type") or self.finish_reason
        return reason.lower() if isinstance(reason, str) else ""


class _Answer(msgspec.Struct):
    """An answer that is whole, or one event of a stream."""

    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    data: msgspec.Raw = msgspec.Raw()  # embeddings
    x_groq: Any = None
    timings: Any = None  # of llama.cpp
    # Of the responses API.
    output: Any = None
    type: Any = None
    delta: Any = None
    response: Any = None
    incomplete_details: Any = None
    # Of an error that is not in `error`.
    code: Any = None
    status: Any = None
    error_type: Any = None
    message: Any = None

    @property
    def own_error(self) -> Any:
        """The error of the answer; None if it has none. `{"object": "error", "code": 400}` is vLLM's older form, `{"error": "a
        text", "error_type": "overloaded"}` TGI's."""
        fields = {"code": self.code, "type": self.type, "status": self.status, "error_type": self.error_type}
        if isinstance(self.error, str) and self.error:
            return {**fields, "name": self.error}
        if self.error:
            return self.error
        bare = bool(self.message) and not self.choices and (bool(self.code) or isinstance(self.status, int))
        if bare or "error" in (self.object, self.type):
            return fields
        return entry(self.x_groq, "error")


_decoder = msgspec.json.Decoder(_Answer)


def read_whole(content: bytes, cut: bool = False) -> Reading:
    """Read an answer that is not a stream."""
    reading = Reading(done=True)
    answer = read_json(content, _decoder, cut=cut)
    if answer is None:
        reading.malformed = True
        return reading
    _note_usage(answer, reading)
    if answer.own_error is not None:
        reading.note_error(answer.own_error)
    elif answer.choices:
        for choice in answer.choices:
            _read_whole_choice(choice, reading)
    elif isinstance(answer.output, list):
        _read_output(answer, reading)
    elif bytes(answer.data).startswith(b"["):
        reading.content = reading.vectors = True
        if not reading.tokens.prompt:
            reading.tokens.say(prompt=entry(answer.usage, "total_tokens"))
    else:
        reading.malformed = True
    return reading


class OpenAIStream(EventStream):
    """Reads a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.only_usage = False  # the last piece held usage and nothing else
        self._open: set[Any] = set()  # choices that have begun, and not ended
        self._over = False

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""
        self.only_usage = False
        super().feed(piece)

    def _take(self, data: bytes) -> bool:
        reading = self.reading
        if self._over:  # nobody reads what follows the end
            return True
        if data == _DONE:
            # An end without anything before it is not an answer.
            reading.malformed |= not (reading.content or reading.done or reading.error)
            reading.done = self._over = True
            return True
        event = read_json(data, _decoder)
        if event is not None:
            self._read(event)
        return event is not None

    def _read(self, event: _Answer) -> None:
        self.only_usage = bool(event.usage) and not event.choices
        _note_usage(event, self.reading)
        if isinstance(event.type, str) and event.type.startswith("response."):
            self._read_response(event, event.type)
        elif event.own_error is not None:
            self.reading.note_error(event.own_error)
        else:
            for choice in event.choices or ():
                self._read_choice(choice)

    def _read_choice(self, choice: _Choice) -> None:
        reading, finish = self.reading, choice.finish
        texts = _texts(choice.delta) or ((choice.text,) if choice.text else ())
        if texts:
            reading.events += 1
            reading.note_text(*texts)
            reading.done = False
            self._open.add(str(choice.index))
        reading.refused |= bool(entry(choice.delta, "refusal"))
        if finish:
            self._open.discard(str(choice.index))
            _note_finish(choice, reading)
            reading.done = not self._open
        elif choice.error:
            reading.note_error(choice.error)

    def _read_response(self, event: _Answer, kind: str) -> None:
        """An event of the responses API, whose types name it."""
        reading = self.reading
        if kind.endswith(".delta"):
            reading.events += 1
            reading.note_text(None if "audio.delta" in kind else event.delta)
            reading.refused |= kind == "response.refusal.delta"
        elif kind in ("response.completed", "response.incomplete"):
            reading.done = True
            reading.refused |= _was_filtered(entry(event.response, "incomplete_details"))
        elif kind in ("response.failed", "response.error"):
            reading.note_error(entry(event.response, "error") or event.own_error or kind)


def _read_whole_choice(choice: _Choice, reading: Reading) -> None:
    texts = _texts(choice.message) or ((choice.text,) if choice.text else ())
    if texts:
        reading.note_text(*texts)
    elif not choice.finish and not choice.error:
        reading.malformed |= choice.text is None and entry(choice.message, "content") is None
    reading.refused |= bool(entry(choice.message, "refusal"))
    _note_finish(choice, reading)


def _read_output(answer: _Answer, reading: Reading) -> None:
    """The output of the responses API: messages, thoughts, calls of tools."""
    reading.content = True
    if answer.status == "failed":
        reading.note_error("server_error")
    for item in answer.output:
        parts = entry(item, "content")
        reading.note_text(parts, entry(item, "arguments"))
        reading.refused |= any(entry(part, "type") == "refusal" for part in parts) if isinstance(parts, list) else False
    reading.refused |= _was_filtered(answer.incomplete_details)


def _note_finish(choice: _Choice, reading: Reading) -> None:
    finish = choice.finish
    reading.refused |= finish.startswith(_REFUSED)
    if finish in _FAILED or choice.error:
        reading.note_error(choice.error or "server_error")


def _texts(message: Any) -> tuple[Any, ...]:
    """What a message, or a piece of one, says: an answer, a thought, a refusal, a call of a tool."""
    if not isinstance(message, Mapping):
        return ()
    named = ("content", "reasoning_content", "reasoning", "refusal", "audio")
    said = [message[name] for name in named if message.get(name)]
    calls = message.get("tool_calls") or message.get("function_call")
    if calls:
        calls = calls if isinstance(calls, list) else [{"function": calls}]
        said.append([entry(entry(call, "function"), "arguments") for call in calls])
    return tuple(said)


def _note_usage(answer: _Answer, reading: Reading) -> None:
    model = answer.model or entry(answer.response, "model")
    reading.model = model if isinstance(model, str) and model else reading.model
    said = [answer.usage, entry(answer.x_groq, "usage"), entry(answer.response, "usage")]
    said += [choice.usage for choice in answer.choices or ()]
    for usage in said:
        if isinstance(usage, Mapping):
            reading.tokens.say(**_figures(usage))
            reading.tokens.cache_in_prompt = True
    if not reading.tokens.cache_in_prompt and isinstance(answer.timings, Mapping):
        fresh, cached = whole_number(answer.timings.get("prompt_n")), whole_number(answer.timings.get("cache_n"))
        reading.tokens.say(prompt=fresh, answer=answer.timings.get("predicted_n"), cache_read=cached)


def _figures(usage: Mapping[str, Any]) -> dict[str, int | None]:
    """Tokens as a usage has them. A figure that is missing follows from the total; so do thoughts that xAI and Google leave out of
    the answer's figure, though they are paid for."""
    prompt, answer = _first(usage, "prompt_tokens", "input_tokens"), _first(usage, "completion_tokens", "output_tokens")
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    # DeepSeek's and LiteLLM's names beside OpenAI's and OpenRouter's.
    read = _first(details, "cached_tokens") or _first(usage, "cache_read_input_tokens", "prompt_cache_hit_tokens")
    written = _first(details, "cache_write_tokens", "cache_creation_tokens") or _first(
        usage, "cache_creation_input_tokens"
    )
    total = whole_number(usage.get("total_tokens")) or 0
    if prompt and (answer is None or total - prompt - answer not in (0, (read or 0) + (written or 0))):
        answer = max(answer or 0, total - prompt) if total else answer
    elif answer and not prompt and total > answer:
        prompt = total - answer
    return {"prompt": prompt, "answer": answer, "cache_read": read, "cache_write": written}


def _first(values: Mapping[str, Any], *names: str) -> int | None:
    return next((number for name in names if (number := whole_number(values.get(name))) is not None), None)


def _was_filtered(details: Any) -> bool:
    return bool(entry(details, "reason") == "content_filter")


OPENAI = Wire(
    name="openai",
    paths=("/chat/completions", "/completions", "/embeddings", "/responses"),
    read_whole=read_whole,
    open_stream=OpenAIStream,
    credential_headers=("Authorization",),
    credential=lambda secret: {"Authorization": f"Bearer {secret}"},
    assumed_headers={},
)
