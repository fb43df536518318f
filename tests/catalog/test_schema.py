"""The JSON Schema accepts what the loader accepts, and refuses what is wrong without knowing references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tiercli.catalog.document import read_document
from tiercli.catalog.export import build_schema
from tiercli.resources import resource_folder

CATALOGS = sorted(resource_folder("catalogs").glob("*.yaml"))


def load(path: Path) -> Any:
    return read_document(path).value


def validator() -> jsonschema.Draft202012Validator:
    schema = build_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_every_catalog_that_comes_with_tiercli_satisfies_it(path: Path) -> None:
    assert [error.message for error in validator().iter_errors(load(path))] == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        pytest.param({"gateway": 5}, ["gateway"], id="a section of another type"),
        pytest.param({"estate": "a b"}, ["estate"], id="a name with a space"),
        pytest.param({"tenents": {}}, [], id="an unknown key"),
        pytest.param({"owners": {"a b": {"contact": "x"}}}, ["owners"], id="a key of the wrong form"),
    ],
)
def test_it_refuses(change: dict[str, Any], place: list[str]) -> None:
    errors = list(validator().iter_errors(load(CATALOGS[0]) | change))
    assert [list(error.absolute_path) for error in errors] == [place]


def test_every_entry_and_every_section_is_described() -> None:
    schema = build_schema()
    undescribed = [name for name, entry in schema["$defs"].items() if not entry.get("description")]
    undescribed += [name for name, entry in schema["properties"].items() if not entry.get("description")]
    assert undescribed == []
