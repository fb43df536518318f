"""The rest of a wire: requests, estimates, and streams that cannot be held."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.gateway_stand import DONE, chunk
from tiercli.wires import WIRES
from tiercli.wires.interface import Reading
from tiercli.wires.request import estimated_input_tokens, read_request

OPENAI, ANTHROPIC = WIRES["openai"], WIRES["anthropic"]


def event(**data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def streamed(content: bytes, size: int, wire: str = "openai") -> Reading:
    stream = WIRES[wire].open_stream()
    for start in range(0, len(content), size):
        stream.feed(content[start : start + size])
    stream.close()
    return stream.reading


@pytest.mark.parametrize(
    ("texts", "tokens"),
    [(["a", "b", "c"], 3), (["eight ch", "eight ch", "x"], 5), ([], 0)],
    ids=["a token an event", "several an event", "nothing"],
)
def test_output_that_is_not_said_is_counted_by_what_is_more(texts: list[str], tokens: int) -> None:
    openai = b"".join(chunk(text) for text in texts)
    anthropic = b"".join(event(type="content_block_delta", delta={"text": text}) for text in texts)
    assert streamed(openai, 99).counted == streamed(anthropic, 99, "anthropic").counted == tokens


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
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_a_request_that_is_none_says_nothing(body: bytes, cut: bool) -> None:
    assert read_request(body, cut=cut).model_name == ""
    assert estimated_input_tokens(body) <= 1


def test_the_text_of_a_prompt_is_estimated_and_its_pictures_are_not() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}}
    content = [{"type": "text", "text": "x" * 40}, picture]
    body = {"system": "y" * 20, "messages": [{"role": "user", "content": content}, {"content": "z" * 20}]}
    assert estimated_input_tokens(json.dumps(body).encode()) == 20


def test_the_model_is_read_from_the_beginning_of_a_request() -> None:
    body = json.dumps({"model": "gpt-4o", "user": "ann", "messages": [{"content": "x" * 1000}]}).encode()
    for size in range(body.index(b"messages"), len(body)):
        request = read_request(body[:size], cut=True)
        assert (request.model_name, request.caller) == ("gpt-4o", "ann")
    assert read_request(body[: body.index(b"4o")], cut=True).model_name == ""  # half a name is none
    assert estimated_input_tokens(body[:500], cut=True, size=40_000_000) == 10_000_000
