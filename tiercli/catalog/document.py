"""YAML with positions: values, and the line and column of every key and value.

A hostile file costs no more than its size. Scalars follow YAML 1.2's core schema: true and false only, no dates, no
octals.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tiercli.catalog.tree import Key, KeyPath, LimitReached, TreeBuilder, kind_of
from tiercli.errors import InvalidInput, Location, Problem

MAX_BYTES = 16 * 1024 * 1024
# Characters that YAML forbids anywhere in a file.
_UNPRINTABLE = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

__all__ = ["Document", "Key", "KeyPath", "parse_document", "read_document", "read_text"]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: plain dicts, lists and scalars, and their positions.

    `problems` are those of its syntax that did not stop the reading (a duplicate key); the check of its shape reports them
    too. `elsewhere` gives the place of entries that another file contributes.
    """

    name: str
    value: Any
    _values: dict[KeyPath, tuple[int, int]] = field(repr=False)
    _keys: dict[KeyPath, tuple[int, int]] = field(repr=False)
    problems: tuple[Problem, ...] = ()
    elsewhere: Callable[[KeyPath], Location | None] = field(default=lambda path: None, repr=False, compare=False)

    def locate(self, path: KeyPath, *, key: bool = False) -> Location:
        """The place of the value, or of the key, at `path`; of the nearest enclosing entry when there is none."""
        places = (self._keys, self._values) if key else (self._values, self._keys)
        while True:
            location = self.elsewhere(path)
            if location is not None:
                return location
            for known in places:
                if path in known:
                    return Location(self.name, *known[path])
            if not path:
                return Location(self.name, 1, 1)
            path = path[:-1]


def read_text(path: Path, accepted: str = "a YAML file") -> str:
    """The text of an operator's file; "-" is standard input. Raises InvalidInput when it is missing (`accepted` says what is
    expected), too large or not UTF-8."""
    name = str(path)
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        message = (error.strerror or str(error)).lower()
        raise InvalidInput(f"cannot read {name}", [Problem(Location(name), message, accepted)]) from error
    if len(data) > MAX_BYTES:
        limit = f"at most {MAX_BYTES // 1024 // 1024} MiB"
        raise InvalidInput(f"{name} is too large", [Problem(Location(name), f"more than {MAX_BYTES} bytes", limit)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InvalidInput(f"{name} is not text", [Problem(Location(name, line, column), message, "UTF-8")]) from error


def read_document(path: Path) -> Document:
    """Read a YAML file whose top is a mapping. "-" is standard input.

    Raises InvalidInput when it cannot be read to its end; other problems of its syntax are in the document's `problems`.
    """
    return parse_document(read_text(path), str(path))


def parse_document(text: str, name: str) -> Document:
    """As read_document, for text in hand; `name` stands for the file in problems."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable is not None:
        at = unprintable.start()
        place = Location(name, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        message = f"the control character U+{ord(text[at]):04X}"
        raise InvalidInput(f"{name} is not text", [Problem(place, message, "printable text")])
    builder = TreeBuilder(name)
    try:
        builder.build(text)
    except yaml.YAMLError as error:
        problems = [*builder.problems, _syntax_problem(error, name, text)]
        raise InvalidInput(f"{name} is not YAML that tiercli reads", problems) from error
    if not isinstance(builder.value, dict):
        found = "an empty document" if builder.value is None else f"{kind_of(builder.value)} at the top"
        location = Location(name, *builder.values.get((), (1, 1)))
        problems = [*builder.problems, Problem(location, found, "a mapping of keys to values")]
        raise InvalidInput(f"{name} has the wrong shape", problems)
    return Document(name, builder.value, builder.values, builder.keys, tuple(builder.problems))


def _syntax_problem(error: yaml.YAMLError, name: str, text: str) -> Problem:
    if isinstance(error, LimitReached):
        return error.problem
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = ": ".join(part for part in (error.context, error.problem) if part)
        lines = text.splitlines()
        indent = lines[line - 1][:column].lstrip(" ") if 0 < line <= len(lines) else ""
        if "\\t" in message or indent.startswith("\t"):
            return Problem(Location(name, line, column), "a tab", "spaces: YAML does not allow tabs as indentation")
        return Problem(Location(name, line, column), message, "YAML")
    return Problem(Location(name), f"not YAML: {error}", "YAML")
