"""From a catalog file to a checked Catalog: every problem of syntax, shape and reference in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tiercli.catalog.consistency import check_consistency
from tiercli.catalog.document import Document, KeyPath, parse_document, read_text
from tiercli.catalog.environment import Environment
from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.catalog.overrides import check_overrides
from tiercli.catalog.raw_receivers import check_raw_receivers
from tiercli.catalog.references import check_names
from tiercli.catalog.salvage import salvage, stand_in
from tiercli.catalog.shape import check_shape
from tiercli.catalog.tenant_rows import TenantRows, load_tenant_rows
from tiercli.catalog.view import CatalogView
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

    def environment(self, name: str) -> Environment:
        """The environment with that name, as given with --env. Raises InvalidInput if the catalog has none."""
        environments = self.catalog.environments
        if name not in environments:
            problem = unknown_name("environment", name, environments, Location("--env"))
            raise InvalidInput("no such environment", [problem])
        return environments[name]


# A check of a later stage; it may be given only the valid part of a catalog.
Check = Callable[[LoadedCatalog], list[Problem]]


def load_catalog(path: Path, checks: Sequence[Check] = ()) -> LoadedCatalog:
    """Read and check a catalog and its tenants file; "-" is standard input. `checks` are those of later stages (names of alarms,
    of metrics). Raises InvalidInput with everything that is wrong with it."""
    document = parse_document(read_text(path), str(path))
    return _checked(document, _read_tenants(document), checks)


def parse_catalog(
    text: str, name: str, checks: Sequence[Check] = (), tenants: TenantRows | None = None
) -> LoadedCatalog:
    """As load_catalog, without reading files: `name` stands for the catalog's file in problems, `tenants` are those of its tenants
    file."""
    return _checked(parse_document(text, name), tenants, checks)


def _checked(document: Document, tenants: TenantRows | None, checks: Sequence[Check]) -> LoadedCatalog:
    document, unread = _with_tenants(document, tenants)
    whole = replace(document, value={**document.value, "tenants": stand_in("tenants")}) if unread else document
    catalog, problems = check_shape(whole, Catalog)
    missing: frozenset[str] = frozenset()
    if catalog is None:
        catalog, missing = salvage(whole.value)
    if unread:
        catalog, missing = catalog.model_copy(update={"tenants": {}}), missing | {"tenants"}
    loaded = LoadedCatalog(catalog, document)
    view = CatalogView(catalog, document, missing)
    problems += [*check_names(view), *check_consistency(view), *check_overrides(view), *check_raw_receivers(view)]
    for check in checks:
        problems += check(loaded)
    if problems:
        problems = list(dict.fromkeys(problems))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InvalidInput(f"{document.name}: {count}", problems)
    return loaded


def _tenants_file(document: Document) -> str | None:
    """The tenants file that the catalog names; None when it names none, or something that is not a name."""
    named = document.value.get(TENANTS_FILE)
    return named if isinstance(named, str) and named.strip() else None


def _read_tenants(document: Document) -> TenantRows | None:
    """The rows of the tenants file; none, with its problems, when it cannot be read."""
    named = _tenants_file(document)
    if named is None:
        return None
    path = Path(document.name).parent / named
    try:
        return load_tenant_rows(path)
    except InvalidInput as error:
        first = error.problems[0]
        problem = Problem(document.locate((TENANTS_FILE,)), f"{named}: {first.found}", first.accepted)
        located = [problem for problem in error.problems if problem.location.line]
        return TenantRows(str(path), problems=[problem, *located])


def _with_tenants(document: Document, rows: TenantRows | None) -> tuple[Document, bool]:
    """`document` with `rows` as if they were in it; and whether no tenant could be read, so that only the reason is reported."""
    named = _tenants_file(document)
    if named is None:
        return document, False
    at = document.locate((TENANTS_FILE,))
    if rows is None:
        rows = TenantRows(named, problems=[Problem(at, f"{named} was not read", "the catalog as a file")])
    rest = {key: value for key, value in document.value.items() if key != TENANTS_FILE}
    own = rest.get("tenants", {})
    if not isinstance(own, dict):
        unread = not own and bool(rows.problems) and not rows.entries
        return replace(document, value=rest, problems=(*document.problems, *rows.problems)), unread
    twice = [
        Problem(
            document.locate(("tenants", tenant), key=True),
            f"tenant {tenant!r} is also in {named}, line {rows.lines[tenant]}",
            "each tenant once",
        )
        for tenant in own.keys() & rows.entries.keys()
    ]
    problems = (*document.problems, *rows.problems, *twice)
    tenants = {**rows.entries, **own}
    if rows.problems and not tenants:
        return replace(document, value=rest, problems=problems), True

    def place(path: KeyPath) -> Location | None:
        return at if path == ("tenants",) and "tenants" not in rest else rows.locate(path)

    return replace(document, value={**rest, "tenants": tenants}, problems=problems, elsewhere=place), False
