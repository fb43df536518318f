"""Streams of server-sent events are cut the same wherever their pieces end."""

from __future__ import annotations

import pytest

from tiercli.wires.events import EventSplitter, LineSplitter

STREAM = b": a comment\n\nevent: x\ndata: 1\n\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\r\rdata: the rest"


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_events_and_the_rest_are_the_stream(size: int) -> None:
    splitter = EventSplitter()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    events = [event for piece in pieces for event in splitter.feed(piece)]
    assert events == [
        b": a comment\n\n",
        b"event: x\ndata: 1\n\n",
        b"data: 2\r\n\r\n",
        b"data: 3\r\r",
        b"data: 4\r\r",
    ]
    assert splitter.rest() == b"data: the rest"


def test_a_stream_that_ends_lines_with_cr_is_not_held_back() -> None:
    splitter = EventSplitter()
    assert [list(splitter.feed(b"data: %d\r\r" % number)) for number in range(3)] == [
        [],  # the last CR may be the first half of CR LF: until one was not
        [b"data: 0\r\r", b"data: 1\r\r"],
        [b"data: 2\r\r"],
    ]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_line_that_is_too_long_is_left_out_and_the_next_is_whole(size: int) -> None:
    splitter, stream = LineSplitter(longest=5), b"12345\n123456789\nab\n"
    lines = [line for start in range(0, len(stream), size) for line in splitter.feed(stream[start : start + size])]
    # A line that ends in the piece in which it began was never held.
    assert lines == ([b"12345\n", b"\n", b"ab\n"] if size < 10 else [b"12345\n", b"123456789\n", b"ab\n"])
