"""A catalog as YAML that reads back as the same catalog, and the JSON Schema of catalogs for editors."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tiercli.catalog.model import Catalog

# Text that some reader of YAML 1.1 or 1.2 takes for another type.
_AMBIGUOUS = re.compile(r"[-+.~0-9].*|true|false|null|yes|no|on|off|y|n|<<|=", re.IGNORECASE | re.DOTALL)


class _Dumper(yaml.SafeDumper):
    """Quotes text that could be read as a number, a date, a boolean or null."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if _AMBIGUOUS.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump_catalog(catalog: Catalog) -> str:
    """`catalog` as YAML, with its defaults."""
    resolved = catalog.model_dump(mode="json", by_alias=True, exclude_none=True)
    return str(yaml.dump(resolved, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def build_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a catalog file, from the models. It cannot check references between entries; `tiercli
    catalog validate` does."""
    schema = Catalog.model_json_schema(by_alias=True)
    schema.pop("title", None)
    _close(schema)
    # Tenants can be in a file beside the catalog instead.
    schema["required"].remove("tenants")
    schema["anyOf"] = [{"required": ["tenants"]}, {"required": ["tenants_file"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tiercli catalog", **schema}


def _close(schema: Any) -> None:
    """Where keys have a pattern, accept no other key: pydantic's schema leaves that open."""
    if isinstance(schema, list):
        for entry in schema:
            _close(entry)
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for entry in schema.values():
            _close(entry)
