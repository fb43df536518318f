"""Grafana dashboards, one file each in templates/dashboards/: docs/adding-a-dashboard.md."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tiercli.catalog.model import Catalog
from tiercli.dashboards.build.finish import render_board
from tiercli.signals.boards import Board, load_boards

__all__ = ["render_dashboards"]


def render_dashboards(
    catalog: Catalog, unbound: Collection[str] = (), boards: Mapping[str, Board] | None = None
) -> dict[str, str]:
    """Every dashboard's JSON by its path in the generated folder: of `boards`, or of tiercli's own. Left out is what shows only
    series of `unbound`, those that no source of the catalog provides."""
    boards = load_boards(catalog) if boards is None else boards
    rendered = {name: render_board(name, board, catalog, unbound) for name, board in boards.items()}
    return {f"grafana/dashboards/{name}.json": text for name, text in rendered.items() if text is not None}
