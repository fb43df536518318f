"""Names: problems of an unknown name, and of two that look alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache

from tiercli.errors import Location, Problem

SHOWN_NAMES = 12


def unknown_name(kind: str, name: str, known: Iterable[str], location: Location, where: str = "") -> Problem:
    """The problem of an unknown name: what is accepted, and the near miss if there is one."""
    names = list(known)
    near = _nearest(name, tuple(names))
    accepted = ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
    return Problem(location, f"unknown {kind} {name!r}{where}", accepted or f"no {kind} is declared", near)


@lru_cache(maxsize=256)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    """The near miss, or "". The same mistake is often repeated in many rows."""
    near = get_close_matches(name, known, n=1)
    return near[0] if near else ""


def folded(name: str) -> str:
    """A form that two names share when they differ only in case or encoding."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def look_alikes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(name, earlier name) for each name that differs from an earlier one only in case or encoding."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(folded(name), name)
        if first != name:
            yield name, first


def repeated(values: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(position, value) of each value that is a repetition."""
    seen: set[str] = set()
    for position, value in enumerate(values):
        if value in seen:
            yield position, value
        seen.add(value)
