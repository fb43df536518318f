"""Where the dashboards of a command come from: a catalog, or a folder that was generated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import Board, parse_board
from tiercli.durations import parse_duration
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.lint.catalog_checks import further_checks
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of

_SCRAPE_S = 15.0  # Grafana's own default, where no catalog says otherwise


def load_boards(
    catalog: Path | None, folder: Path | None, templates: list[Path] | None
) -> tuple[Mapping[str, Board], float]:
    """The dashboards of a catalog or of a folder by name, and the scrape interval of their Prometheus in seconds."""

    if catalog is not None and folder is not None:
        raise InvalidInput("a catalog and a folder were both given", hint="use one of the two")
    if folder is not None:
        return {
            path.stem: parse_board(path.read_text(encoding="utf-8"), str(path)) for path in _files(folder)
        }, _SCRAPE_S

    if catalog is None:
        raise InvalidInput("no dashboards", hint="name a catalog, or a folder of dashboards with --dir")
    loaded, rendered = render_boards(catalog, templates)
    boards = {Path(path).stem: parse_board(text, path) for path, text in rendered.items()}
    return boards, parse_duration(loaded.catalog.prometheus.scrape_interval)


def render_boards(catalog: Path, templates: list[Path] | None) -> tuple[LoadedCatalog, Mapping[str, str]]:
    """The catalog, and the JSON of each of its dashboards by path."""

    folders = templates or ()
    loaded = load_catalog(catalog, further_checks(folders))
    alarms = load_alarm_set(loaded, timing_of(loaded.catalog), folders)
    return loaded, render_dashboards(loaded.catalog, alarms.canonical.unbound, alarms.boards)


def _files(folder: Path) -> list[Path]:

    inside = folder / "grafana" / "dashboards"
    files = sorted((inside if inside.is_dir() else folder).glob("*.json"))
    files = [path for path in files if path.name != "manifest.json"]
    if not files:
        problem = Problem(Location(str(folder)), "no dashboards in it", "a folder that tiercli generate wrote")
        raise InvalidInput(f"no dashboards in {folder}", [problem])
    return files
