"""What is read of an answer, wire by wire: usage, refusals, and whether it is one at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.gateway_stand import DONE, chunk, completion
from tiercli.audit.record import Usage
from tiercli.wires import WIRES
from tiercli.wires.interface import Reading, estimated_input_tokens, read_request

OPENAI, ANTHROPIC = WIRES["openai"], WIRES["anthropic"]


def event(**data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(finish_reason: str | None = None, **said: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": said, "finish_reason": finish_reason}])


def whole(body: Any, wire: str = "openai") -> Reading:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WIRES[wire].read_whole(content)


def streamed(content: bytes, size: int, wire: str = "openai") -> Reading:
    stream = WIRES[wire].open_stream()
    for start in range(0, len(content), size):
        stream.feed(content[start : start + size])
    return stream.reading


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        pytest.param(completion("hi", usage=(11, 5)), Usage(11, 5), id="a chat completion"),
        pytest.param(
            {
                "choices": [{"text": "hi", "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2},
            },
            Usage(3, 2),
            id="a completion",
        ),
        pytest.param(
            {"object": "list", "data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}},
            Usage(8, 0),
            id="embeddings",
        ),
        pytest.param(
            {
                "object": "response",
                "error": None,
                "output": [],
                "usage": {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 2}},
            },
            Usage(7, 4, 2),
            id="a response",
        ),
        pytest.param(
            {
                "choices": [{"message": {"content": None, "tool_calls": [{"id": "1"}]}}],
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 7,
                    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
                },
            },
            Usage(10, 7, 60, 30),
            id="a call of a tool, from and into a cache",
        ),
        pytest.param(
            {"choices": [{"message": {"content": None, "reasoning_content": "hm"}, "finish_reason": "length"}]},
            None,
            id="a thought that was cut off, of a server that names no usage",
        ),
        pytest.param(
            {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": -5, "completion_tokens": 1}},
            Usage(0, 1),
            id="a usage below nothing",
        ),
    ],
)
def test_answers_of_openais_wire(body: Any, usage: Usage | None) -> None:
    reading = whole(body)
    assert (reading.usage, reading.malformed, reading.error, reading.refused) == (usage, False, "", False)
    assert reading.content


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_stream_is_read_wherever_it_is_cut(size: int, ends: bytes) -> None:
    content = b": a comment\n\n" + delta(role="assistant", content="") + chunk("one") + chunk("two")
    content += delta("stop") + chunk(usage=(11, 40)) + DONE
    reading = streamed(content.replace(b"\n", ends), size)
    assert reading == Reading(usage=Usage(11, 40), events=2, characters=6, content=True, done=True)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [delta(reasoning_content="hm"), delta(content="a"), delta("stop")],
            Reading(events=2, characters=1, content=True, done=True),
            id="thoughts are tokens",
        ),
        pytest.param(
            [delta(tool_calls=[{"index": 0}]), delta("tool_calls"), DONE],
            Reading(events=1, content=True, done=True),
            id="a call of a tool",
        ),
        pytest.param([delta("content_filter"), DONE], Reading(refused=True, done=True), id="a filter refuses"),
        pytest.param(
            [event(choices=[], prompt_filter_results=[]), chunk("a"), DONE],
            Reading(events=1, characters=1, content=True, done=True),
            id="an event before the first choice",
        ),
        pytest.param(
            [
                event(type="response.created", response={"usage": None}),
                event(type="response.output_text.delta", delta="a"),
                event(type="response.completed", response={"usage": {"input_tokens": 5, "output_tokens": 2}}),
            ],
            Reading(usage=Usage(5, 2), events=1, characters=1, content=True, done=True),
            id="the responses API",
        ),
        pytest.param(
            [event(type="response.failed", response={"error": {"code": "server_error"}})],
            Reading(error="UPSTREAM_ERROR"),
            id="a response that failed",
        ),
        pytest.param(
            [
                chunk("a"),
                event(choices=[{"delta": {"content": "b"}}], usage={"prompt_tokens": 4, "completion_tokens": 2}),
            ],
            Reading(usage=Usage(4, 2), events=2, characters=2, content=True),
            id="a usage in every event",
        ),
        pytest.param([b"data: {\n\n", DONE], Reading(malformed=True, done=True), id="no JSON"),
    ],
)
def test_streams_of_openais_wire(events: list[bytes], expected: Reading) -> None:
    assert streamed(b"".join(events), 50) == expected


@pytest.mark.parametrize(
    ("body", "malformed", "refused"),
    [
        ({"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"}, False, False),
        ({"content": [{"type": "tool_use", "id": "1", "input": {}}], "stop_reason": "tool_use"}, False, False),
        ({"content": [], "stop_reason": "refusal"}, False, True),
        ({"content": []}, True, False),
        ({"choices": []}, True, False),
        ([], True, False),
    ],
    ids=["a text", "a call of a tool", "a refusal", "nothing", "another wire's", "a list"],
)
def test_answers_of_anthropics_wire(body: Any, malformed: bool, refused: bool) -> None:
    reading = whole(body, "anthropic")
    assert (reading.malformed, reading.refused) == (malformed, refused)


@pytest.mark.parametrize(
    ("texts", "tokens"),
    [(["a", "b", "c"], 3), (["eight ch", "eight ch", "x"], 5), ([], 0)],
    ids=["a token an event", "several an event", "nothing"],
)
def test_output_that_is_not_said_is_counted_by_what_is_more(texts: list[str], tokens: int) -> None:
    openai = b"".join(chunk(text) for text in texts)
    anthropic = b"".join(event(type="content_block_delta", delta={"text": text}) for text in texts)
    assert streamed(openai, 99).counted == streamed(anthropic, 99, "anthropic").counted == tokens


def test_an_error_within_a_stream_of_anthropics() -> None:
    content = b"event: error\n" + event(type="error", error={"type": "overloaded_error", "message": "Overloaded"})
    assert streamed(content, 11, "anthropic") == Reading(error="RATE_LIMITED")


def test_a_line_that_cannot_be_held_is_passed_over() -> None:
    long = b"data: " + b"x" * (20 << 20) + b"\n\n"
    reading = streamed(chunk("a") + long + chunk("b") + DONE, 1 << 16)
    assert (reading.counted, reading.done, reading.malformed) == (2, True, False)


@pytest.mark.parametrize(
    ("wire", "path", "serves"),
    [
        (OPENAI, "/v1/chat/completions", True),
        (OPENAI, "/v1/chat/completions?api-version=1", True),
        (OPENAI, "/v1/models", False),
        (ANTHROPIC, "/v1/messages", True),
        (ANTHROPIC, "/v1/messages/count_tokens", False),
        (ANTHROPIC, "/v1/messages/batches", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_which_requests_are_calls(wire: Any, path: str, serves: bool) -> None:
    assert wire.serves(path) is serves


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": 3}', b"\xff", b"[" * 10_000], ids=range(6))
def test_a_request_that_is_none_says_nothing(body: bytes) -> None:
    assert read_request(body).model == ""
    assert estimated_input_tokens(body) <= 1


def test_the_text_of_a_prompt_is_estimated_and_its_pictures_are_not() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}}
    content = [{"type": "text", "text": "x" * 40}, picture]
    body = {"system": "y" * 20, "messages": [{"role": "user", "content": content}, {"content": "z" * 20}]}
    assert estimated_input_tokens(json.dumps(body).encode()) == 20
