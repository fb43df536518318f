"""YAML that remembers where everything stands: values, and the line and column of every key and value.

Read from the parser's events, without recursion and without expanding anything before it is counted, so that a hostile
file costs no more than its size. Scalars follow YAML 1.2's core schema: true and false only, no dates, no octals.
"""

from __future__ import annotations

import math
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
MAX_NODES = 1_000_000
CHARACTERS_PER_NODE = 64  # a long text repeated by aliases is paid for by its length

MAX_DIGITS = 18

_TAGS = {kind: f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq")}
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

# What YAML does not let stand in a file, whatever is around it.
_UNPRINTABLE = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

Key = str | int
KeyPath = tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: plain dicts, lists and scalars, and where they stand.

    `problems` are those of its form after which reading could go on (a duplicate key); whoever checks the shape reports
    them together with its own.
    """

    name: str
    value: Any
    _values: dict[KeyPath, tuple[int, int]] = field(repr=False)
    _keys: dict[KeyPath, tuple[int, int]] = field(repr=False)
    problems: tuple[Problem, ...] = ()

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
    """Read a YAML file whose top is a mapping. "-" is standard input.

    Raises InvalidInput when it cannot be read to its end; what it can be read past is in the document's `problems`.
    """
    return parse_document(read_text(path), str(path))


def parse_document(text: str, name: str) -> Document:
    """As read_document, for text in hand; `name` stands for the file in problems."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable is not None:
        at = unprintable.start()
        place = Location(name, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        said = f"the control character U+{ord(text[at]):04X}"
        raise InvalidInput(f"{name} is not text", [Problem(place, said, "printable text")])
    builder = _Builder(name)
    try:
        builder.build(text)
    except yaml.YAMLError as error:
        problems = [*builder.problems, _syntax_problem(error, name, text)]
        raise InvalidInput(f"{name} is not YAML that tiercli reads", problems) from error
    if not isinstance(builder.value, dict):
        found = "an empty document" if builder.value is None else f"{_kind(builder.value)} at the top"
        location = Location(name, *builder.values.get((), (1, 1)))
        problems = [*builder.problems, Problem(location, found, "a mapping of keys to values")]
        raise InvalidInput(f"{name} has the wrong shape", problems)
    return Document(name, builder.value, builder.values, builder.keys, tuple(builder.problems))


def _kind(value: Any) -> str:
    return {list: "a list", int: "a number", float: "a number", bool: "true or false", type(None): "empty"}.get(
        type(value), "text"
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
        self._measures: dict[int, tuple[int, int]] = {}
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
            said = "aliases that expand to too much" if isinstance(event, yaml.AliasEvent) else "too many entries"
            raise _Limit(Problem(self._at(event), said, f"at most {MAX_NODES} values in all"))

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise _Limit(Problem(self._at(event), f"*{event.anchor} names no anchor that is complete before it"))
        value = self._anchors[event.anchor]
        nodes, depth = _measure(value, self._measures)
        if len(self._stack) + depth > MAX_DEPTH:
            raise _Limit(Problem(self._at(event), "aliases nested too deeply", f"at most {MAX_DEPTH} levels"))
        self._count(nodes, event)
        self._place(value, event)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._count(_cost(event.value), event)
        self._check_tag(event)
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
        resolved = _resolve(event)
        if event.anchor:
            self._anchors[event.anchor] = resolved
        if key in top.value:
            first = self.keys[path]
            said = f"duplicate key {key!r}, first on line {first[0]}"
            self.problems.append(Problem(self._at(event), said, "each key once"))
        elif key == "<<" and event.implicit[0]:
            self.problems.append(Problem(self._at(event), "merge keys (<<) are not read", "every key written out"))
        elif not isinstance(resolved, str):
            said = f"the key {key or 'that is empty'} is {_kind(resolved)}"
            self.problems.append(Problem(self._at(event), said, f'text: "{key}" in quotes'))
        self.keys.setdefault(path, _place_of(event))
        top.key = key

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self._count(1, event)
        self._check_tag(event)
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

    def _check_tag(self, event: yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if event.tag is not None and event.tag not in ("!", *_TAGS.values()):
            self.problems.append(Problem(self._at(event), f"the tag {event.tag} is not read", "values without tags"))

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
            top.value.setdefault(top.key, value)
            top.key = None
        else:
            path = (*top.path, len(top.value))
            top.value.append(value)
        # The places of a duplicate key's entries must not replace those of the first.
        self.values.setdefault(path, place)
        return path


def _place_of(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def _cost(text: str) -> int:
    return 1 + len(text) // CHARACTERS_PER_NODE


def _measure(value: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """What a value costs once its aliases are expanded, and how deep it goes; complete values only: there is no cycle.

    It recurses at most MAX_DEPTH deep, because what an alias brings in was measured when it was placed.
    """
    if not isinstance(value, (dict, list)):
        return (_cost(value) if isinstance(value, str) else 1), 0
    if id(value) not in known:
        nodes, depth = 1, 0
        for child in value.values() if isinstance(value, dict) else value:
            more, deeper = _measure(child, known)
            nodes, depth = nodes + more, max(depth, deeper)
        known[id(value)] = nodes + (sum(map(_cost, value)) if isinstance(value, dict) else 0), depth + 1
    return known[id(value)]


def _resolve(event: yaml.ScalarEvent) -> Any:
    text = event.value
    if not event.implicit[0]:  # quoted, or tagged
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _syntax_problem(error: yaml.YAMLError, name: str, text: str) -> Problem:
    if isinstance(error, _Limit):
        return error.problem
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        said = ": ".join(part for part in (error.context, error.problem) if part)
        lines = text.splitlines()
        if "\\t" in said or (0 < line <= len(lines) and "\t" in lines[line - 1][:column]):
            return Problem(Location(name, line, column), "a tab", "spaces: YAML does not indent by tabs")
        return Problem(Location(name, line, column), said, "YAML")
    return Problem(Location(name), f"not YAML: {error}", "YAML")
