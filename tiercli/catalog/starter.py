"""The catalog that `tiercli catalog init` writes."""

from __future__ import annotations

from tiercli.resources import resource_folder


def starter_text() -> str:
    """A small valid catalog, with comments that say what each section is for."""
    return (resource_folder("catalogs") / "starter.yaml").read_text(encoding="utf-8")
