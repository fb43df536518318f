"""Values from a YAML parser's events: plain dicts, lists and scalars, and the line and column of each.

Without recursion, and without expanding an alias before what it expands to is counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tiercli.errors import Location, Problem

MAX_DEPTH = 40
MAX_NODES = 1_000_000
CHARACTERS_PER_NODE = 64  # a long text repeated by aliases counts by its length

MAX_DIGITS = 18

_TAGS = {kind: f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq")}
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Key = str | int
KeyPath = tuple[Key, ...]


class LimitReached(yaml.YAMLError):
    """A limit was reached; nothing after it is read."""

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


class TreeBuilder:
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
                    raise LimitReached(Problem(self._at(event), "a second document", "one document a file"))
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
            message = "aliases that expand to too much" if isinstance(event, yaml.AliasEvent) else "too many entries"
            raise LimitReached(Problem(self._at(event), message, f"at most {MAX_NODES} values in all"))

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise LimitReached(Problem(self._at(event), f"*{event.anchor} names no anchor that is complete before it"))
        value = self._anchors[event.anchor]
        nodes, depth = _measure(value, self._measures)
        if len(self._stack) + depth > MAX_DEPTH:
            raise LimitReached(Problem(self._at(event), "aliases nested too deeply", f"at most {MAX_DEPTH} levels"))
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
            message = f"duplicate key {key!r}, first on line {first[0]}"
            self.problems.append(Problem(self._at(event), message, "each key once"))
        elif key == "<<" and event.implicit[0]:
            self.problems.append(Problem(self._at(event), "merge keys (<<) are not supported", "every key written out"))
        elif not isinstance(resolved, str):
            message = f"the key {key or 'that is empty'} is {kind_of(resolved)}"
            self.problems.append(Problem(self._at(event), message, f'text: "{key}" in quotes'))
        self.keys.setdefault(path, _place_of(event))
        top.key = key

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self._count(1, event)
        self._check_tag(event)
        if len(self._stack) >= MAX_DEPTH:
            raise LimitReached(Problem(self._at(event), "nested too deeply", f"at most {MAX_DEPTH} levels"))
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise LimitReached(Problem(self._at(event), "a list or mapping as a key", "text as a key"))
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._place(value, event)
        self._stack.append(_Open(path, value, event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        if done.anchor:
            self._anchors[done.anchor] = done.value

    def _check_tag(self, event: yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if event.tag is not None and event.tag not in ("!", *_TAGS.values()):
            self.problems.append(
                Problem(self._at(event), f"the tag {event.tag} is not supported", "values without tags")
            )

    def _place(self, value: Any, event: yaml.Event) -> KeyPath:
        place = _place_of(event)
        if not self._stack:
            self.value = value
            self.values[()] = place
            return ()
        top = self._stack[-1]
        if isinstance(top.value, dict):
            if top.key is None:
                raise LimitReached(Problem(self._at(event), "an alias as a key", "text as a key"))
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
    """The cost of a value with its aliases expanded, and its depth; only of complete values, which have no cycle.

    It recurses at most MAX_DEPTH deep, because the value of an alias was measured when it was placed.
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


def kind_of(value: Any) -> str:
    """The type of a value in words."""
    return {list: "a list", int: "a number", float: "a number", bool: "true or false", type(None): "empty"}.get(
        type(value), "text"
    )
