"""What tests share: the example catalog, and a drill short enough to run many times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiercli.catalog.loading import LoadedCatalog, load_catalog

ROOT = Path(__file__).resolve().parent.parent
HYBRID = ROOT / "catalogs" / "hybrid.yaml"


@pytest.fixture(scope="session")
def hybrid() -> LoadedCatalog:
    """The catalog that comes with tiercli."""
    return load_catalog(HYBRID)
