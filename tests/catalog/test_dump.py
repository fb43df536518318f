"""A catalog that is written out reads back as itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tiercli.catalog.export import dump_catalog
from tiercli.catalog.field_types import Name
from tiercli.catalog.loading import load_catalog, parse_catalog
from tiercli.resources import resource_folder

CATALOGS = sorted(resource_folder("catalogs").glob("*.yaml"))
NAME: TypeAdapter[str] = TypeAdapter(Name)


def is_name(text: str) -> bool:
    try:
        NAME.validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_the_catalogs_that_come_with_tiercli_read_back(path: Path) -> None:
    catalog = load_catalog(path).catalog
    assert parse_catalog(dump_catalog(catalog), "dumped").catalog == catalog


DOUBTFUL = (
    "1e3",
    "0x1f",
    "010",
    "yes",
    "null",
    "~",
    "2026-11-01",
    "1_000",
    "12:30",
    ".5",
    "-",
    "=",
    "<<",
    "{{ $1 }}",
    "#",
)


@settings(max_examples=100)
@given(name=st.sampled_from(DOUBTFUL) | st.text(min_size=1, max_size=20).filter(is_name))
def test_whatever_a_tenant_or_a_feature_is_called_it_reads_back(name: str) -> None:
    catalog = load_catalog(CATALOGS[0]).catalog
    tenant = next(iter(catalog.tenants.values())).model_copy(update={"features": (name,), "aliases": None})
    zone = next(name for name, zone in catalog.zones.items() if zone.regions is None)
    renamed = catalog.model_copy(update={"tenants": {name: tenant.model_copy(update={"zone": zone})}})
    assert parse_catalog(dump_catalog(renamed), "dumped").catalog == renamed
