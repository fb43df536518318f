"""Answers of chat completions, changed on their way: whole ones, and streams event by event."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from tiercli.faults.kinds.interface import Answer
from tiercli.wires.events import EventSplitter

# Changes what was decoded of an answer or of one event of a stream, in place.
Change = Callable[[dict[str, Any]], None]
_DATA = b"data:"


def rewritten(answer: Answer, change: Change) -> Answer:
    """`answer` with `change` made to its JSON object, or to that of every event of a stream; what is none passes as it came."""
    headers = tuple((name, value) for name, value in answer.headers if name.lower() != "content-length")
    body = _events(answer.body, change) if answer.streams else _whole(answer.body, change)
    return replace(answer, headers=headers, body=body)


async def _whole(body: AsyncIterator[bytes], change: Change) -> AsyncIterator[bytes]:
    yield _changed(b"".join([piece async for piece in body]), change)


async def _events(body: AsyncIterator[bytes], change: Change) -> AsyncIterator[bytes]:
    splitter = EventSplitter()
    async for piece in body:
        if events := list(splitter.feed(piece)):
            yield b"".join(_event(event, change) for event in events)
    if rest := splitter.rest():
        yield _event(rest, change)


def _event(event: bytes, change: Change) -> bytes:
    if not event.startswith(_DATA):
        return event
    data = event[len(_DATA) :].rstrip()
    return b"data: " + _changed(data.strip(), change) + event[len(_DATA) + len(data) :]


def _changed(content: bytes, change: Change) -> bytes:
    try:
        data = json.loads(content)
    except ValueError:
        return content
    if not isinstance(data, dict):
        return content
    change(data)
    return json.dumps(data, separators=(",", ":")).encode()
