"""The panels that the rules name, read from a live Prometheus as Grafana would draw them: their own queries, variables and all.

Panels whose rows do not name a provider are opened from the home board: once for each lane of "Provider health", with the
variables that its link sets.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from tiercli.clients.prometheus import PrometheusClient
from tiercli.dashboards.read.board import Board, parse_board
from tiercli.dashboards.read.reading_model import PanelReading, Row
from tiercli.drills.blind.ground import Ground
from tiercli.drills.blind.panels import CODES, HEALTH
from tiercli.drills.blind.rules import RULES
from tiercli.drills.blind.seen import Figure, Moment, Panel
from tiercli.drills.sites.estate import Estate
from tiercli.output.live_board import POINTS, BoardRequest, fetch_board
from tiercli.signals.sources import catalog_sources

RANGE = "15m"  # what a board shows, simulated time
_STALE_POINTS = 4  # a line that ended this many points ago is gone
_OPENED = (CODES,)  # from a lane of HEALTH
_ERRORS = "tier:provider:errors:rate5m"


class PanelReader:
    """Reads the rules' panels of an estate's dashboards."""

    def __init__(self, estate: Estate, client: PrometheusClient) -> None:
        timing = estate.timing
        self._client = client
        self._range_s = timing.window_s(RANGE)
        self._scrape_s = timing.scrape_s
        wanted = {panel for rule in RULES for panel in rule.reads}
        boards = boards_of(estate)
        self._boards = {name: _only(board, name, wanted - set(_OPENED)) for name, board in boards.items()}
        self._opened = {name: _only(board, name, set(_OPENED)) for name, board in boards.items()}

    async def read(self, at: float | None = None) -> Moment:
        """What the panels say at `at` (Unix seconds; now). Raises BackendError."""
        moment: dict[Panel, tuple[Figure, ...]] = {}
        for name, board in self._boards.items():
            if board.panels:
                moment |= await self._read(name, board, {}, at)
        for name, board in self._opened.items():
            if not board.panels:
                continue
            for lane in moment.get(HEALTH, ()):
                chosen = {key: lane.labels[key] for key in ("provider", "region") if key in lane.labels}
                wanted = {key: (value,) for key, value in chosen.items()}
                for panel, figures in (await self._read(name, board, wanted, at)).items():
                    named = tuple(
                        dataclasses.replace(
                            figure, name=" / ".join((*chosen.values(), figure.name)), labels={**figure.labels, **chosen}
                        )
                        for figure in figures
                    )
                    moment[panel] = (*moment.get(panel, ()), *named)
        return moment

    async def _read(
        self, name: str, board: Board, wanted: Mapping[str, Sequence[str]], at: float | None
    ) -> dict[Panel, tuple[Figure, ...]]:
        reading = await fetch_board(self._client, BoardRequest(board, wanted, self._range_s, self._scrape_s), at)
        stale_s = _STALE_POINTS * self._range_s / POINTS
        return {(name, panel.title): figures_of(panel, stale_s) for panel in reading.panels}


def boards_of(estate: Estate) -> dict[str, Board]:
    """The dashboards of an estate, by name."""
    return {PurePosixPath(path).stem: parse_board(text, path) for path, text in estate.dashboards().items()}


def look_at(ground: Ground, estate: Estate) -> Ground:
    """`ground` with the panels that the dashboards of `estate` have, and the error codes that its sources tell."""
    panels = {(name, panel.title) for name, board in boards_of(estate).items() for panel in board.panels}
    sources = [source for source in catalog_sources(estate.loaded) if _ERRORS in source.signals and source.of_all]
    codes = [source.binding.codes for source in sources]
    known = None if None in codes else {code for of in codes if of is not None for code in of}
    return dataclasses.replace(ground, panels=panels, codes=known)


def figures_of(panel: PanelReading, stale_s: float) -> tuple[Figure, ...]:
    """The rows of a panel that have a number now."""
    return tuple(
        Figure(row.name, _labels(row), row.now, row.text, row.threshold)
        for row in panel.rows
        if row.now is not None and not math.isnan(row.now) and row.age_s <= stale_s
    )


def _labels(row: Row) -> dict[str, str]:
    return {key: value for key, value in row.labels.items() if key != "__name__"}


def _only(board: Board, name: str, wanted: set[Panel]) -> Board:
    panels = tuple(panel for panel in board.panels if (name, panel.title) in wanted)
    return dataclasses.replace(board, panels=panels)
