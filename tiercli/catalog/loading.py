"""From a catalog file to a checked Catalog: every problem of shape and of reference in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiercli.catalog.document import Document, Key, KeyPath, parse_document, read_text
from tiercli.catalog.model import Catalog
from tiercli.catalog.shape import check_shape, error_paths
from tiercli.catalog.validation import check_references
from tiercli.errors import InvalidInput, Problem

# Sections whose entries stand on their own: one that is wrong is taken out so that the others can still be checked.
_ENTRY_DEPTH = {"owners": 2, "receivers": 2, "providers": 2, "aliases": 2, "zones": 2, "tenants": 2, "alarms": 2}

_OPTIONAL = ("alarms", "prometheus", "alertmanager", "time_zone")
# Required entries that nothing refers to: a sound value in place of a bad one lets the rest be checked.
_NEUTRAL: dict[str, Any] = {
    "version": 1,
    "estate": "estate",
    "env": "env",
    "links": {"runbooks": "http://localhost/runbooks", "grafana": "http://localhost"},
}


@dataclass(frozen=True, slots=True)
class LoadedCatalog:
    """A catalog and the document it came from, so that later stages can name places in it."""

    catalog: Catalog
    document: Document

    def problem(
        self, path: KeyPath, found: str, accepted: str = "", suggestion: str = "", *, key: bool = False
    ) -> Problem:
        """A problem at a place of the catalog file."""
        return Problem(self.document.locate(path, key=key), found, accepted, suggestion)


def load_catalog(path: Path) -> LoadedCatalog:
    """Read and check a catalog; "-" is standard input. Raises InvalidInput with everything that is wrong with it."""
    return parse_catalog(read_text(path), str(path))


def parse_catalog(text: str, name: str) -> LoadedCatalog:
    """As load_catalog, for text in hand; `name` stands for the file in problems."""
    document = parse_document(text, name)
    catalog, problems = check_shape(document, Catalog)
    declared = document.value
    if catalog is None:
        catalog = _what_is_sound(declared)
    if catalog is not None:
        problems += check_references(catalog, declared, document)
    if problems or catalog is None:
        problems = list(dict.fromkeys(problems))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InvalidInput(f"{name}: {count}", problems)
    return LoadedCatalog(catalog, document)


def _what_is_sound(value: dict[str, Any]) -> Catalog | None:
    """The catalog without its misshapen entries, or None when what is wrong cannot be taken out."""
    rest = deepcopy(value)
    for _ in range(3):  # taking out one entry can leave a section empty, which is a new problem of shape
        paths = error_paths(Catalog, rest)
        if not paths:
            return Catalog.model_validate(rest)
        if not _take_out(rest, paths):
            return None
    return None


def _take_out(rest: dict[str, Any], paths: Iterable[KeyPath]) -> bool:
    """Remove or neutralise what stands at `paths`; False when none of it can be."""
    changed = False
    for path in sorted(set(paths), key=len, reverse=True):
        if path and path[0] in _NEUTRAL:
            rest[str(path[0])] = _NEUTRAL[str(path[0])]
            changed = True
            continue
        cut = path[: _ENTRY_DEPTH.get(str(path[0]), 1)] if path else ()
        needed = len(cut) == 1 and cut[0] in Catalog.model_fields and cut[0] not in _OPTIONAL
        if not cut or needed:
            continue
        parent: Any = rest
        for part in cut[:-1]:
            parent = parent.get(part) if isinstance(parent, dict) else None
        last: Key = cut[-1]
        if isinstance(parent, dict) and last in parent:
            del parent[last]
            changed = True
    return changed
