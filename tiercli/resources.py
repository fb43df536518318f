"""Where the files that come with tiercli are: beside the package in a checkout, inside it when installed as a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """The folder `name` ("templates", "catalogs", "drills", "docs") that came with this tiercli."""
    inside = _PACKAGE / "resources" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
