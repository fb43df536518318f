"""A document against a pydantic model: every problem of shape, in an operator's words, at its line and column."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tiercli.catalog.document import Document, KeyPath
from tiercli.errors import InvalidInput, Problem

_M = TypeVar("_M", bound=BaseModel)

_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}


def load_model(document: Document, model: type[_M]) -> _M:
    """`document` as a `model`. Raises InvalidInput with every problem of its shape."""
    loaded, problems = check_shape(document, model)
    if loaded is None or problems:
        raise InvalidInput(f"{document.name} is not valid", problems)
    return loaded


def check_shape(document: Document, model: type[_M], value: Any = None) -> tuple[_M | None, list[Problem]]:
    """`document` as a `model`, and every problem of its shape; the model is None when there are problems.

    With `value`, that is checked in place of the document's own: a copy from which bad entries were taken out.
    """
    try:
        return model.model_validate(document.value if value is None else value), []
    except ValidationError as error:
        return None, [_problem(details, document, model) for details in error.errors(include_url=False)]


def error_paths(model: type[BaseModel], value: Any) -> list[KeyPath]:
    """Where `value` does not have the shape of `model`."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return [_value_path(details["loc"], value) for details in error.errors(include_url=False)]
    return []


def _value_path(loc: tuple[str | int, ...], value: Any) -> KeyPath:
    """pydantic's `loc` without the parts that name a key check or a union's branch, which are not in the document."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
            path.append(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
            path.append(part)
        elif part != "[key]" and isinstance(value, Mapping) and part == loc[-1]:
            path.append(part)
    return tuple(path)


def _problem(details: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
    kind, context = details["type"], details.get("ctx") or {}
    path = _value_path(details["loc"], document.value)
    name = path[-1] if path else document.name
    found = details["input"]
    if kind == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        near = get_close_matches(str(name), known, n=1)
        said = f"unknown key {name!r}{_within(path)}"
        return Problem(document.locate(path, key=True), said, ", ".join(known), near[0] if near else "")
    if kind == "missing":
        return Problem(document.locate(path[:-1]), f"{name!r} is missing{_within(path)}", "")
    if kind == "literal_error":
        accepted = [part.strip("'") for part in re.split(r", | or ", str(context.get("expected", "")))]
        near = get_close_matches(str(found), accepted, n=1)
        return Problem(document.locate(path), f"{name} is {found!r}", ", ".join(accepted), near[0] if near else "")
    if kind == "value_error":
        said = str(context.get("error", details["msg"]))
        return Problem(document.locate(path, key="[key]" in details["loc"]), f"{name!r}: {said}")
    if kind == "string_pattern_mismatch":
        accepted_text = _pattern_in_words(str(context.get("pattern", "")))
        return Problem(
            document.locate(path, key="[key]" in details["loc"]), f"{found!r} is not accepted", accepted_text
        )
    if kind in _WANTED:
        return Problem(document.locate(path), f"{_dotted(path)} is {_said(found)}", _WANTED[kind])
    message = details["msg"].removeprefix("Input should ").removeprefix("Value should ")
    message = message.replace("Tuple should", "a list should").replace("Dictionary should", "a mapping should")
    message = message.replace(" after validation", "").replace("String should", "text should")
    return Problem(document.locate(path), f"{_dotted(path)} is {_said(found)}", message)


def _within(path: KeyPath) -> str:
    return f" in {_dotted(path[:-1])}" if len(path) > 1 else ""


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the document"


def _said(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _pattern_in_words(pattern: str) -> str:
    if pattern.startswith("^[A-Za-z0-9][A-Za-z0-9._-]"):
        return "letters, digits, dots, dashes and underscores, beginning with a letter or digit, at most 63"
    if "https?" in pattern:
        return "an http or https URL without credentials, query or trailing slash"
    return f"text that matches {pattern}"


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that an entry at `path` accepts."""
    kinds: list[Any] = [model]
    for part in path:
        kinds = [inner for kind in kinds for inner in _step(kind, part)]
    keys: list[str] = []
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += [info.alias or name for name, info in kind.model_fields.items()]
    return keys


def _step(kind: Any, part: str | int) -> Iterator[Any]:
    """The types that an entry `part` of a value of type `kind` can have."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            if part in (name, info.alias):
                yield from _branches(info.annotation)
    elif typing.get_origin(kind) is dict:
        yield from _branches(typing.get_args(kind)[1])
    elif typing.get_origin(kind) in (list, tuple):
        yield from _branches(typing.get_args(kind)[0])


def _branches(kind: Any) -> Iterator[Any]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for inner in typing.get_args(kind):
            yield from _branches(inner)
    elif typing.get_origin(kind) is typing.Annotated:
        yield from _branches(typing.get_args(kind)[0])
    else:
        yield kind
