"""JSON as servers write it: some of it is not quite JSON, and of a long text only the beginning may be there."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

import msgspec
from pydantic_core import from_json

_Read = TypeVar("_Read")
_BOM = b"\xef\xbb\xbf"


def read_json(
    text: bytes, decoder: msgspec.json.Decoder[_Read], *, cut: bool = False, half_texts: bool = True
) -> _Read | None:
    """What `decoder` makes of a text; None if it is none. What some servers write is read too: half a surrogate pair, a broken
    byte, NaN, a byte order mark, an object in a list of one. `cut`: only the beginning of the text is there; the keys and values
    that came whole are read, and with `half_texts` the beginning of a text."""
    try:
        if not cut:
            return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        value = _beginning(text, half_texts) if cut else _lenient(text)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return decoder.decode(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def entry(value: Any, name: str) -> Any:
    """An entry of what should be an object; None where there is none, or it is no object."""
    return value.get(name) if isinstance(value, dict) else None


def _lenient(text: bytes) -> Any:
    return json.loads(text.removeprefix(_BOM).decode(errors="replace"), parse_constant=lambda name: None)


def _beginning(text: bytes, half_texts: bool) -> Any:
    partial: Literal["on", "trailing-strings"] = "trailing-strings" if half_texts else "on"
    return from_json(text.removeprefix(_BOM), allow_partial=partial, allow_inf_nan=False)
