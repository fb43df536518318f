"""Who is behind a call, as a record says it: never a credential, and a caller's name only where it may be read."""

from __future__ import annotations

import hashlib
import urllib.parse
from collections.abc import Iterable, Mapping

CALLER_HEADER = "x-caller"
_HASH_LENGTH = 16
_LONGEST_CALLER = 200  # characters
_LONGEST_HEADER = 4 * 3 * _LONGEST_CALLER  # of such a name in UTF-8, percent-encoded


def hashed(text: str) -> str:
    """What stands for a text that must not be read: the same for the same text."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_HASH_LENGTH]


def credential_id(headers: Mapping[str, str], names: Iterable[str] = ("Authorization",)) -> str | None:
    """A hash of the key or bearer token in the first of the headers `names` that has one; None if none has. Passwords are too easily
    guessed to be hashed."""
    for name in names:
        value = headers.get(name, "").strip()
        if name.lower() == "authorization":
            scheme, _, value = value.partition(" ")
            value = value.strip() if scheme.lower() == "bearer" else ""
        if value:
            return hashed(value)
    return None


def caller_of(headers: Mapping[str, str], said: str, *, hide: bool) -> str | None:
    """The caller: of the header x-caller (percent-encoded), else what the request itself `said`; None if nobody is named. `hide`: a
    hash of it."""
    header = urllib.parse.unquote(headers.get(CALLER_HEADER, "")[:_LONGEST_HEADER])
    caller = (header.strip() or said.strip())[:_LONGEST_CALLER]
    return hashed(caller) if hide and caller else caller or None
