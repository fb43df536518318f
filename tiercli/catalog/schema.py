"""The JSON Schema of a catalog, for editors: from the models, so that the two cannot differ."""

from __future__ import annotations

from typing import Any

from tiercli.catalog.model import Catalog


def build_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a catalog file. References between entries are beyond it: `catalog validate`."""
    schema = Catalog.model_json_schema(by_alias=True)
    schema.pop("title", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tiercli catalog",
        **schema,
    }
