"""The JSON Schema of a catalog, for editors: from the models, so that the two cannot differ."""

from __future__ import annotations

from typing import Any

from tiercli.catalog.model import Catalog


def build_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a catalog file. References between entries are beyond it: `catalog validate`."""
    schema = Catalog.model_json_schema(by_alias=True)
    schema.pop("title", None)
    _close(schema)
    # They can stand in a file beside the catalog instead.
    schema["required"].remove("tenants")
    schema["anyOf"] = [{"required": ["tenants"]}, {"required": ["tenants_file"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tiercli catalog",
        **schema,
    }


def _close(schema: Any) -> None:
    """Where keys have a pattern, no other key is accepted: pydantic's schema leaves that open."""
    if isinstance(schema, list):
        for entry in schema:
            _close(entry)
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for entry in schema.values():
            _close(entry)
