"""Grafana dashboards, one module each. To add one: its file, its panels' ids in signals/panels.py, one line here."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tiercli.catalog.model import Catalog

__all__ = ["DASHBOARDS", "render_dashboards"]

DASHBOARDS: tuple[str, ...] = (
    "home",
    "overview",
    "provider",
    "alias",
    "tenant",
    "drift",
    "local",
    "cost",
    "compliance",
    "health",
)


def render_dashboards(catalog: Catalog, unbound: Collection[str] = ()) -> dict[str, str]:
    """Every dashboard's JSON by its path in the generated folder. Left out is what shows only series of `unbound`, those
    that no source of the catalog has."""
    from importlib import import_module

    rendered = {}
    for name in DASHBOARDS:
        build: Callable[[Catalog, Collection[str]], str | None] = import_module(
            f"tiercli.dashboards.build.{name}"
        ).build
        text = build(catalog, unbound)
        if text is not None:
            rendered[f"grafana/dashboards/{name}.json"] = text
    return rendered
