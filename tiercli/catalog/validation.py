"""What entries of a catalog say of each other: names that must exist, prices, zones, budgets, overrides."""

from __future__ import annotations

from tiercli.catalog.consistency import check_consistency
from tiercli.catalog.document import Document
from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.catalog.overrides import check_overrides
from tiercli.catalog.references import check_names
from tiercli.catalog.view import CatalogView
from tiercli.errors import Problem

__all__ = ["check_references", "unknown_name"]


def check_references(catalog: Catalog, document: Document, missing: frozenset[str] = frozenset()) -> list[Problem]:
    """Every problem between entries. `missing`: sections of which nothing is sound, so that nothing is said of them."""
    view = CatalogView(catalog, document, missing)
    return [*check_names(view), *check_consistency(view), *check_overrides(view)]
