"""From a catalog file to a checked Catalog: every problem of form, shape and reference in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiercli.catalog.document import Document, KeyPath, parse_document, read_text
from tiercli.catalog.model import Catalog
from tiercli.catalog.shape import check_shape
from tiercli.catalog.sound import what_is_sound
from tiercli.catalog.validation import check_references
from tiercli.errors import InvalidInput, Problem


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


# What a later stage checks of a catalog: it may be given the sound part of one.
Check = Callable[[LoadedCatalog], list[Problem]]


def load_catalog(path: Path, checks: Sequence[Check] = ()) -> LoadedCatalog:
    """Read and check a catalog; "-" is standard input. `checks` are what later stages know of it (names of alarms, of
    metrics). Raises InvalidInput with everything that is wrong with it."""
    return parse_catalog(read_text(path), str(path), checks)


def parse_catalog(text: str, name: str, checks: Sequence[Check] = ()) -> LoadedCatalog:
    """As load_catalog, for text in hand; `name` stands for the file in problems."""
    document = parse_document(text, name)
    catalog, problems = check_shape(document, Catalog)
    missing: frozenset[str] = frozenset()
    if catalog is None:
        catalog, missing = what_is_sound(document.value)
    loaded = LoadedCatalog(catalog, document)
    problems += check_references(catalog, document, missing)
    for check in checks:
        problems += check(loaded)
    if problems:
        problems = list(dict.fromkeys(problems))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InvalidInput(f"{name}: {count}", problems)
    return loaded
