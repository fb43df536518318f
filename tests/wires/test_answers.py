"""Answers as servers, providers and gateways really send them, one row each in the files beside this one: what is read of them, and
that it is the same wherever a stream is cut, and however its lines end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.audit.record import Usage
from tiercli.wires import WIRES
from tiercli.wires.interface import Reading

_FILES = Path(__file__).parent / "answers"
_ENDS = {"LF": b"\n", "CR LF": b"\r\n", "CR": b"\r"}
_SIZES = (1, 5, 64, 1 << 20)


def rows() -> list[Any]:
    read = []
    for file in sorted(_FILES.glob("*.yaml")):
        for row in yaml.safe_load(file.read_text()):
            wire = "anthropic" if file.stem == "anthropic" else "openai"
            read.append(pytest.param(wire, row, id=f"{file.stem}: {row['of']}"))
    return read


def test_each_wire_has_rows_enough() -> None:
    ids = [str(row.id) for row in rows()]
    assert len(ids) == len(set(ids))
    assert sum(name.startswith("anthropic") for name in ids) >= 60
    assert sum(name.startswith("chat") for name in ids) >= 120
    assert sum(name.startswith(("responses", "completions")) for name in ids) >= 60


@pytest.mark.parametrize(("wire", "row"), rows())
def test_what_is_read_of_an_answer(wire: str, row: dict[str, Any]) -> None:
    for reading in readings(wire, row):
        tokens = row.get("tokens")
        assert reading.usage == (None if tokens is None else Usage(*tokens))
        assert (reading.refused, reading.error, reading.malformed) == (
            row.get("refused", False),
            row.get("error", ""),
            row.get("malformed", False),
        )
        assert reading.done is row.get("done", True)
        if tokens is not None:
            assert reading.estimated is row.get("estimated", False)
        if "content" in row:
            assert reading.content is row["content"]


def readings(wire: str, row: dict[str, Any]) -> Iterator[Reading]:
    """The answer as it is read: a whole one once, a stream with every line end and in pieces of several sizes."""
    if "events" not in row:
        text = row["text"] if "text" in row else json.dumps(row["answer"])
        yield WIRES[wire].read_whole(text.encode())
        return
    for end in _ENDS.values():
        content = b"".join(event(data, end) for data in row["events"])
        for size in _SIZES:
            stream = WIRES[wire].open_stream()
            for start in range(0, len(content), size):
                stream.feed(content[start : start + size])
            stream.close()
            yield stream.reading


def event(data: Any, end: bytes) -> bytes:
    """An event: an object or [DONE] as data, other texts as they are; what names an event goes before its data."""
    if isinstance(data, str) and data != "[DONE]":
        return end.join(line.encode() for line in data.split("\n")) + end * (1 if data.startswith("event:") else 2)
    text = data if isinstance(data, str) else json.dumps(data)
    return b"data: " + text.encode() + end + end


@pytest.mark.parametrize(("wire", "row"), [row for row in rows() if "events" in row.values[1]])
def test_a_stream_without_its_last_line_end_is_read_to_its_end(wire: str, row: dict[str, Any]) -> None:
    content = b"".join(event(data, b"\n") for data in row["events"])
    whole, stripped = WIRES[wire].open_stream(), WIRES[wire].open_stream()
    whole.feed(content)
    stripped.feed(content.rstrip(b"\n"))
    whole.close()
    stripped.close()
    assert whole.reading == stripped.reading


@pytest.mark.parametrize(("wire", "row"), [row for row in rows() if "events" not in row.values[1]])
def test_the_beginning_of_an_answer_is_read_as_far_as_it_goes(wire: str, row: dict[str, Any]) -> None:
    """Cut anywhere: nothing is raised, and no error is found where there is none."""
    text = (row["text"] if "text" in row else json.dumps(row["answer"])).encode()
    for size in range(len(text)):
        reading = WIRES[wire].read_whole(text[:size], cut=True)
        assert not reading.error or "error" in row or row.get("refused")
