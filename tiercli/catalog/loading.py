"""From a catalog file to a checked Catalog: every problem of form, shape and reference in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tiercli.catalog.document import Document, KeyPath, parse_document, read_text
from tiercli.catalog.model import Catalog
from tiercli.catalog.salvage import stand_in, what_is_sound
from tiercli.catalog.shape import check_shape
from tiercli.catalog.tenant_rows import load_tenant_rows
from tiercli.catalog.validation import check_references
from tiercli.errors import InvalidInput, Location, Problem

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
    document, unread = _with_tenants(parse_document(text, name))
    whole = replace(document, value={**document.value, "tenants": stand_in("tenants")}) if unread else document
    catalog, problems = check_shape(whole, Catalog)
    missing: frozenset[str] = frozenset()
    if catalog is None:
        catalog, missing = what_is_sound(whole.value)
    if unread:
        catalog, missing = catalog.model_copy(update={"tenants": {}}), missing | {"tenants"}
    loaded = LoadedCatalog(catalog, document)
    problems += check_references(catalog, document, missing)
    for check in checks:
        problems += check(loaded)
    if problems:
        problems = list(dict.fromkeys(problems))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InvalidInput(f"{name}: {count}", problems)
    return loaded


def _with_tenants(document: Document) -> tuple[Document, bool]:
    """`document` with the tenants of the file that it names, as if they stood in it; and whether no tenant could be read,
    so that nothing is to be said of tenants but why."""
    named = document.value.get(TENANTS_FILE)
    if not isinstance(named, str) or not named.strip():
        return document, False
    rest = {key: one for key, one in document.value.items() if key != TENANTS_FILE}
    own = rest.get("tenants", {})
    at = document.locate((TENANTS_FILE,))
    try:
        rows = load_tenant_rows(Path(document.name).parent / named)
    except InvalidInput as error:
        first = error.problems[0]
        there = [problem for problem in error.problems if problem.location.line]
        problems = (*document.problems, Problem(at, f"{named}: {first.found}", first.accepted), *there)
        return replace(document, value=rest, problems=problems), not own
    if not isinstance(own, dict):
        return replace(document, value=rest, problems=(*document.problems, *rows.problems)), False
    twice = [
        Problem(
            document.locate(("tenants", tenant), key=True),
            f"tenant {tenant!r} is in {named} too, line {rows.lines[tenant]}",
            "each tenant once",
        )
        for tenant in own.keys() & rows.entries.keys()
    ]
    problems = (*document.problems, *rows.problems, *twice)
    tenants = {**rows.entries, **own}
    if rows.problems and not tenants:
        return replace(document, value=rest, problems=problems), True

    def place(asked: KeyPath) -> Location | None:
        return at if asked == ("tenants",) and "tenants" not in rest else rows.locate(asked)

    return replace(document, value={**rest, "tenants": tenants}, problems=problems, elsewhere=place), False
