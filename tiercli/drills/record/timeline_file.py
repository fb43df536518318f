"""A timeline as a file: JSON Lines, written as it happens, read back whole or as far as a crash left it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from tiercli.catalog.document import Document, read_document
from tiercli.catalog.shape import load_model
from tiercli.drills.record.events import EVENT_TYPES, Event, RunStarted, Timeline
from tiercli.drills.record.run_folder import SPEC, TIMELINE
from tiercli.drills.spec.model import DrillSpec
from tiercli.errors import InvalidInput, Location, Problem


def encode_event(event: Event) -> str:
    """One line of a timeline file, without its line break."""
    return json.dumps({"kind": event.KIND, **dataclasses.asdict(event)}, separators=(",", ":"), ensure_ascii=False)


class TimelineWriter:
    """Appends events to a file and flushes each, so that a run that dies leaves what it saw."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        """Write one event, and remember it in any case. Raises OSError when the disk is full."""
        self.events.append(event)
        self._stream.write(encode_event(event) + "\n")
        self._stream.flush()

    def timeline(self) -> Timeline:
        """What was written so far."""
        return Timeline(tuple(self.events))


def decode_events(lines: Iterable[str], file: str = "timeline.jsonl") -> Timeline:
    """Events from the lines of a timeline file. A last line cut short by a crash is dropped; any other bad line is
    an InvalidInput that names it."""
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    events: list[Event] = []
    problems: list[Problem] = []
    for position, (number, line) in enumerate(numbered):
        try:
            data = json.loads(line)
            events.append(EVENT_TYPES[data.pop("kind")](**data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if position == len(numbered) - 1 and not line.endswith("\n"):
                break
            problems.append(Problem(Location(file, number), f"not a timeline event: {error}"))
    if problems:
        raise InvalidInput(f"{file} is not a drill's timeline", problems)
    return Timeline(tuple(events))


def load_timeline(path: Path) -> Timeline:
    """Read a run's timeline file. Raises InvalidInput where it cannot be read, or has a line that is no event."""
    try:
        # Bytes that are no UTF-8 become escapes that JSON does not know: their line is a bad one, or one cut short.
        with path.open(encoding="utf-8", errors="backslashreplace") as stream:
            return decode_events(stream, str(path))
    except OSError as error:
        message = (error.strerror or str(error)).lower()
        problem = Problem(Location(str(path)), message, "a drill's timeline")
        raise InvalidInput(f"{path} cannot be read", [problem]) from error


def load_run_spec(folder: Path, timeline: Timeline) -> DrillSpec:
    """The spec that a run was made with: its folder's, else, as a run that was killed has no such file, its timeline's. Raises
    InvalidInput where neither has one."""
    if (folder / SPEC).exists():
        return load_model(read_document(folder / SPEC), DrillSpec)
    place = str(folder / TIMELINE)
    run = timeline.first(RunStarted)
    if run is None or not run.spec:
        problem = Problem(
            Location(place), "it ends before the drill began", f"a run that began, or one with its {SPEC}"
        )
        raise InvalidInput(f"no file describes the run of {folder} was", [problem])
    return load_model(Document(place, run.spec, {}, {}), DrillSpec)
