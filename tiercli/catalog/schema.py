"""The catalog's JSON Schema, for editors that complete and check YAML as it is typed."""

from __future__ import annotations

from typing import Any

from tiercli.catalog.model import Catalog


def catalog_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a catalog file. It knows shapes; references between entries are `catalog validate`'s."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tiercli catalog",
        **Catalog.model_json_schema(by_alias=True),
    }
