"""Grafana dashboards, one module each. To add one: its file, its panels' ids in signals/panels.py, one line here."""

from __future__ import annotations

from collections.abc import Callable

from tiercli.catalog.model import Catalog

__all__ = ["DASHBOARDS", "render_dashboards"]

DASHBOARDS: tuple[str, ...] = ("home", "provider")


def render_dashboards(catalog: Catalog) -> dict[str, str]:
    """Every dashboard's JSON by its path in the generated folder."""
    from importlib import import_module

    rendered = {}
    for name in DASHBOARDS:
        build: Callable[[Catalog], str] = import_module(f"tiercli.dashboards.{name}").build
        rendered[f"grafana/dashboards/{name}.json"] = build(catalog)
    return rendered
