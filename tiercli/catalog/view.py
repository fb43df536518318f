"""A catalog for its checks: the valid entries, every declared name, and their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tiercli.catalog.document import Document
from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.errors import Location, Problem


class CatalogView:
    """`missing`: sections without a valid entry. An invalid entry is not in `catalog` but still declares its name: references to
    it are valid."""

    def __init__(self, catalog: Catalog, document: Document, missing: frozenset[str] = frozenset()) -> None:
        self.catalog = catalog
        self.missing = missing
        self._document = document
        self._declared = {
            section: dict.fromkeys(entries)
            for section, entries in document.value.items()
            if isinstance(entries, Mapping)
        }

    def at(self, *path: str | int, key: bool = False) -> Location:
        """The place of `path`."""
        return self._document.locate(path, key=key)

    def declared(self, section: str) -> Mapping[str, None]:
        """The names that a section declares, in their order."""
        return self._declared.get(section, {})

    @property
    def all_providers_valid(self) -> bool:
        """Otherwise the regions and models are not fully known."""
        return len(self.declared("providers")) == len(self.catalog.providers)

    def priced_models(self, provider: str) -> Mapping[str, object]:
        """The models with an entry in the price book, valid or not."""
        book = self._document.value.get("price_book")
        models = book.get("models") if isinstance(book, Mapping) else None
        priced = models.get(provider) if isinstance(models, Mapping) else None
        return priced if isinstance(priced, Mapping) else {}

    @property
    def zones_enforced(self) -> bool:
        """Whether the gateway enforces zones, also where something else of it is invalid. What is written wrongly may mean that."""
        gateway = self._document.value.get("gateway")
        return isinstance(gateway, Mapping) and gateway.get("zones", "observed") != "observed"

    def reference(
        self, section: str, kind: str, name: str, path: tuple[str | int, ...], where: str
    ) -> Iterator[Problem]:
        """A problem when `section` declares no `name`; none when the section itself cannot be read."""
        if section not in self._declared and section in self.missing:
            return
        if name not in self.declared(section):
            yield unknown_name(kind, name, self.declared(section), self.at(*path), where)

    def each(
        self, kind: str, names: Iterable[str], known: Iterable[str], path: tuple[str | int, ...], where: str
    ) -> Iterator[Problem]:
        """A problem for each of the list `names` at `path` that is not in `known`."""
        known = dict.fromkeys(known)
        for position, name in enumerate(names):
            if name not in known:
                yield unknown_name(kind, name, known, self.at(*path, position), where)
