"""From a catalog file to a checked Catalog: every problem of form, shape and reference in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tiercli.catalog.document import Document, KeyPath, parse_document, read_text
from tiercli.catalog.model import Catalog
from tiercli.catalog.shape import check_shape
from tiercli.catalog.sound import what_is_sound
from tiercli.catalog.tenant_rows import read_tenant_rows
from tiercli.catalog.validation import check_references
from tiercli.errors import InvalidInput, Problem

TENANTS_FILE = "tenants_file"


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
    document = _with_tenants(parse_document(text, name))
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


def _with_tenants(document: Document) -> Document:
    """`document` with the tenants of the file that it names, as if they stood in it."""
    value = document.value
    named = value.get(TENANTS_FILE)
    if not isinstance(named, str) or not named.strip():
        return document
    path = named if document.name in ("-", "") else str(Path(document.name).parent / named)
    try:
        rows = read_tenant_rows(Path(path), read_text(Path(path)))
    except InvalidInput as error:
        at = document.locate((TENANTS_FILE,))
        said = "; ".join(problem.found for problem in error.problems) or error.message
        raise InvalidInput(error.message, [Problem(at, f"{named}: {said}"), *error.problems]) from error
    problems = [*document.problems, *rows.problems]
    own = value.get("tenants", {})
    if isinstance(own, dict):
        for tenant in own.keys() & rows.entries.keys():
            at = document.locate(("tenants", tenant), key=True)
            problems.append(
                Problem(at, f"tenant {tenant!r} is in {named} too, line {rows.lines[tenant]}", "each tenant once")
            )
        own = {**rows.entries, **own}
    kept = {key: one for key, one in value.items() if key != TENANTS_FILE}
    return replace(document, value={**kept, "tenants": own}, problems=tuple(problems), elsewhere=rows.locate)
