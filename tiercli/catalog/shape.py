"""A document checked against a pydantic model: every problem of shape, in plain words, at its line and column."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from tiercli.catalog.document import Document, KeyPath
from tiercli.errors import InvalidInput, Problem

_M = TypeVar("_M", bound=BaseModel)

# Values here can be secrets in the wrong place: no message quotes them.
SECRET_SECTIONS = ("receivers",)
_CREDENTIALS = re.compile(r"://[^\s/@]*@")

_BOUNDS = {
    "greater_than": ("a number above", "gt"),
    "greater_than_equal": ("a number of at least", "ge"),
    "less_than": ("a number below", "lt"),
    "less_than_equal": ("a number of at most", "le"),
}
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
    """`document` as a `model`. Raises InvalidInput with every problem of its syntax and shape."""
    loaded, problems = check_shape(document, model)
    if loaded is None or problems:
        raise InvalidInput(f"{document.name} is not valid", problems)
    return loaded


def check_shape(document: Document, model: type[_M]) -> tuple[_M | None, list[Problem]]:
    """`document` as a `model`, and every problem of its syntax and shape; the model is None when its shape is wrong."""
    try:
        return validate_strictly(model, document.value), list(document.problems)
    except ValidationError as error:
        details = error.errors(include_url=False)
    return None, [*document.problems, *dict.fromkeys(_problem(detail, document, model) for detail in details)]


def error_paths(model: type[BaseModel], value: Any) -> list[KeyPath]:
    """The paths at which `value` does not have the shape of `model`."""
    try:
        validate_strictly(model, value)
    except ValidationError as error:
        return [_value_path(details["loc"], value) for details in error.errors(include_url=False)]
    return []


def validate_strictly(model: type[_M], value: Any) -> _M:
    """`value` as a `model`: "5" is not a number and true is not 1. Raises pydantic's ValidationError.

    Through JSON, because a strict model then accepts a list for a tuple.
    """
    return model.model_validate_json(to_json(value, inf_nan_mode="constants"), strict=True)


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
    of_key = "[key]" in details["loc"]
    name = path[-1] if path else document.name
    # A receiver's own name is no secret; what stands within it may be.
    found = _in_words(details["input"], () if of_key and len(path) <= 2 else path)
    place = document.locate(path, key=of_key)
    if kind == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        near = get_close_matches(str(name), known, n=1)
        message = f"unknown key {_shortened(str(name))}{_within(path)}"
        return Problem(document.locate(path, key=True), message, ", ".join(known), near[0] if near else "")
    if kind == "missing":
        return Problem(document.locate(path[:-1]), f"{name!r} is missing{_within(path)}", "")
    if kind == "literal_error":
        accepted = [part.strip("'") for part in re.split(r", | or ", str(context.get("expected", "")))]
        near = [
            literal
            for literal in get_close_matches(str(details["input"]), accepted, n=1)
            if literal != details["input"]
        ]
        return Problem(place, f"{_dotted(path)} is {found}", ", ".join(accepted), near[0] if near else "")
    if kind == "value_error":
        about = f"the name {_shortened(str(name))}" if of_key else _dotted(path)
        return Problem(place, f"{about}: {context.get('error', details['msg'])}")
    subject = f"the name {found}" if of_key else f"{_dotted(path)} is {found}"
    accepted_text = _wanted(kind, context, details["msg"])
    if kind == "string_type" and isinstance(details["input"], (bool, int, float)):
        accepted_text = "text: put it in quotes"
    if of_key and kind == "string_too_short":
        subject = "an empty name"
    elif of_key:
        subject += " is not accepted"
    return Problem(place, subject, accepted_text)


def _wanted(kind: str, context: Mapping[str, Any], message: str) -> str:
    """What is accepted, for an error of pydantic's type `kind`."""
    if kind in _WANTED:
        return _WANTED[kind]
    if kind == "string_pattern_mismatch":
        return _pattern_in_words(str(context.get("pattern", "")))
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{words} {context[key]:g}"
    if kind == "too_short":
        return f"at least {context['min_length']}"
    if kind in ("string_too_short", "string_too_long"):
        length = context.get("min_length") or context.get("max_length")
        return f"text of at {'least' if kind == 'string_too_short' else 'most'} {length} characters"
    return message.removeprefix("Input should be ")


def _within(path: KeyPath) -> str:
    return f" in {_dotted(path[:-1])}" if len(path) > 1 else ""


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the document"


def _in_words(value: Any, path: KeyPath = ()) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    if isinstance(value, str) and path and path[0] in SECRET_SECTIONS:
        return "text"
    return _shortened(value)


def _shortened(value: Any) -> str:
    text = repr(_CREDENTIALS.sub("://…@", value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "…"


def _pattern_in_words(pattern: str) -> str:
    if pattern.startswith("^[A-Za-z0-9][A-Za-z0-9._-]"):
        return "letters (A to Z), digits, dots, dashes and underscores, beginning with a letter or digit, at most 63"
    if pattern.endswith(":[0-9]{1,5}$"):
        return "host:port, such as gateway-1.internal:9100"
    if pattern.startswith("^/"):
        return "a path that begins with /, in letters, digits and ._~%-/"
    if pattern.endswith("_configs$"):
        return "a list of integrations by its name in Alertmanager, such as victorops_configs"
    if pattern.startswith("^[^@"):
        return "an address of email"
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
