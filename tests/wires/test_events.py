"""Streams of server-sent events are cut the same wherever their pieces end."""

from __future__ import annotations

import pytest

from tiercli.wires.events import DataSplitter, EventSplitter, LineSplitter

STREAM = b": a comment\n\nevent: x\ndata: 1\n\ndata: 2\r\n\r\ndata: the rest"


def pieces(size: int) -> list[bytes]:
    return [STREAM[start : start + size] for start in range(0, len(STREAM), size)]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_events_and_the_rest_are_the_stream(size: int) -> None:
    splitter = EventSplitter()
    events = [event for piece in pieces(size) for event in splitter.feed(piece)]
    assert events == [b": a comment\n\n", b"event: x\ndata: 1\n\n", b"data: 2\r\n\r\n"]
    assert splitter.rest() == b"data: the rest"


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_data_lines_come_without_their_name_and_end(size: int) -> None:
    splitter = DataSplitter()
    assert [data for piece in pieces(size) for data in splitter.feed(piece)] == [b"1", b"2"]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_line_that_is_too_long_is_left_out_and_the_next_is_whole(size: int) -> None:
    splitter, stream = LineSplitter(longest=5), b"12345\n123456789\nab\n"
    lines = [line for start in range(0, len(stream), size) for line in splitter.feed(stream[start : start + size])]
    # A line that ends in the piece in which it began was never held.
    assert [line for line in lines if line] == ([b"12345", b"ab"] if size < 10 else [b"12345", b"123456789", b"ab"])
