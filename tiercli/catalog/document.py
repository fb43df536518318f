"""YAML that remembers where everything stands: values, and the line and column of every key and value.

Read from the parser's events, without recursion and without expanding anything before it is counted, so that a hostile
file costs no more than its size. Scalars follow YAML 1.2's core schema: true and false only, no dates, no octals.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tiercli.errors import InvalidInput, Location, Problem

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 2_000_000

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Key = str | int
KeyPath = tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: plain dicts, lists and scalars, and where they stand."""

    name: str
    value: Any
    _values: dict[KeyPath, tuple[int, int]] = field(repr=False)
    _keys: dict[KeyPath, tuple[int, int]] = field(repr=False)

    def locate(self, path: KeyPath, *, key: bool = False) -> Location:
        """Where `path` stands: its value, or its key; the nearest enclosing entry when it is not there."""
        places = (self._keys, self._values) if key else (self._values, self._keys)
        while True:
            for known in places:
                if path in known:
                    return Location(self.name, *known[path])
            if not path:
                return Location(self.name, 1, 1)
            path = path[:-1]


def read_text(path: Path) -> str:
    """The text of an operator's file; "-" is standard input. Raises InvalidInput: not there, too large, not UTF-8."""
    name = str(path)
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InvalidInput(f"cannot read {name}", [Problem(Location(name), said, "a YAML file")]) from error
    if len(data) > MAX_BYTES:
        limit = f"at most {MAX_BYTES // 1024 // 1024} MiB"
        raise InvalidInput(f"{name} is too large", [Problem(Location(name), f"more than {MAX_BYTES} bytes", limit)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        said = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InvalidInput(f"{name} is not text", [Problem(Location(name, line, column), said, "UTF-8")]) from error


def read_document(path: Path) -> Document:
    """Read a YAML file whose top is a mapping. Raises InvalidInput with every problem of its form."""
    return parse_document(read_text(path), str(path))


def parse_document(text: str, name: str) -> Document:
    """As read_document, for text in hand; `name` stands for the file in problems."""
    builder = _Builder(name)
    try:
        builder.build(text)
    except yaml.YAMLError as error:
        builder.problems.append(_syntax_problem(error, name, text))
    except RecursionError:
        builder.problems.append(Problem(Location(name), "nested too deeply", f"at most {MAX_DEPTH} levels"))
    if builder.problems:
        raise InvalidInput(f"{name} is not YAML that tiercli reads", builder.problems)
    if not isinstance(builder.value, dict):
        found = "an empty document" if builder.value is None else f"{_kind(builder.value)} at the top"
        location = Location(name, *builder.values.get((), (1, 1)))
        raise InvalidInput(f"{name} has the wrong shape", [Problem(location, found, "a mapping of keys to values")])
    return Document(name, builder.value, builder.values, builder.keys)


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false"}.get(
        type(value), "something else"
    )


class _Limit(yaml.YAMLError):
    """A bound was hit; nothing after it is read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not been seen."""

    path: KeyPath
    value: Any
    anchor: str | None
    key: str | None = None
    key_is_complex: bool = False


class _Builder:
    """Turns parser events into values, iteratively."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Any = None
        self.values: dict[KeyPath, tuple[int, int]] = {}
        self.keys: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Any] = {}
        self._sizes: dict[int, int] = {}
        self._nodes = 0
        self._documents = 0

    def build(self, text: str) -> None:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise _Limit(Problem(self._at(event), "a second document", "one document a file"))
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._open(event)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._close()

    def _at(self, event: yaml.Event) -> Location:
        return Location(self.name, *_place_of(event))

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            said = "aliases that expand to too much" if nodes > 1 else "too many entries"
            raise _Limit(Problem(self._at(event), said, f"at most {MAX_NODES} values in all"))

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise _Limit(Problem(self._at(event), f"*{event.anchor} names no anchor that is complete before it"))
        value = self._anchors[event.anchor]
        self._count(_size(value, self._sizes), event)
        self._place(value, event)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._count(1, event)
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._begin_key(top, event)
            return
        value = _resolve(event)
        if event.anchor:
            self._anchors[event.anchor] = value
        self._place(value, event)

    def _begin_key(self, top: _Open, event: yaml.ScalarEvent) -> None:
        key = event.value
        path = (*top.path, key)
        if key in top.value:
            first = self.keys[path]
            self.problems.append(Problem(self._at(event), f"duplicate key {key!r}, first on line {first[0]}"))
        elif key == "<<" and event.implicit[0]:
            self.problems.append(Problem(self._at(event), "merge keys (<<) are not read", "every key written out"))
        else:
            self.keys[path] = _place_of(event)
        top.key = key

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self._count(1, event)
        if len(self._stack) >= MAX_DEPTH:
            raise _Limit(Problem(self._at(event), "nested too deeply", f"at most {MAX_DEPTH} levels"))
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise _Limit(Problem(self._at(event), "a list or mapping as a key", "text as a key"))
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._place(value, event)
        self._stack.append(_Open(path, value, event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        if done.anchor:
            self._anchors[done.anchor] = done.value

    def _place(self, value: Any, event: yaml.Event) -> KeyPath:
        place = _place_of(event)
        if not self._stack:
            self.value = value
            self.values[()] = place
            return ()
        top = self._stack[-1]
        if isinstance(top.value, dict):
            if top.key is None:
                raise _Limit(Problem(self._at(event), "an alias as a key", "text as a key"))
            path: KeyPath = (*top.path, top.key)
            if top.key not in top.value:
                top.value[top.key] = value
                self.values[path] = place
            top.key = None
        else:
            path = (*top.path, len(top.value))
            top.value.append(value)
            self.values[path] = place
        return path


def _place_of(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def _size(value: Any, known: dict[int, int]) -> int:
    """Values in `value` once its aliases are expanded; complete values only, so there is no cycle."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        children = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(child, known) for child in children)
    return known[id(value)]


def _resolve(event: yaml.ScalarEvent) -> Any:
    text = event.value
    if event.tag == "tag:yaml.org,2002:str" or not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) < 19:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _syntax_problem(error: yaml.YAMLError, name: str, text: str) -> Problem:
    if isinstance(error, _Limit):
        return error.problem
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        said = " ".join(part for part in (error.context, error.problem) if part)
        lines = text.splitlines()
        if "\\t" in said or (0 < line <= len(lines) and "\t" in lines[line - 1][:column]):
            return Problem(Location(name, line, column), "a tab", "spaces: YAML does not indent by tabs")
        return Problem(Location(name, line, column), said, "YAML")
    position = getattr(error, "position", None)
    line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
    return Problem(Location(name, line), f"not YAML: {getattr(error, 'reason', None) or error}", "YAML")
