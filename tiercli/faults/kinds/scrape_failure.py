"""Metrics cannot be scraped: an exporter is gone, or answers with an error. What it measures goes on unseen."""

from __future__ import annotations

from typing import Literal

from tiercli.faults.kinds.interface import (
    SCRAPE_LABELS,
    Answer,
    BrokenOff,
    Call,
    FaultKind,
    FaultSettings,
    Forward,
    RefusesConnections,
    error_answer,
)


class ScrapeFailureSettings(FaultSettings):
    """`refused`: connecting gives ECONNREFUSED. `error`: scrapes are answered with 503."""

    mode: Literal["refused", "error"] = "refused"


class ScrapeFailure(RefusesConnections):
    """Answers no scrape."""

    def __init__(self, settings: ScrapeFailureSettings) -> None:
        super().__init__(settings.mode == "refused")

    async def exchange(self, call: Call, forward: Forward) -> Answer:
        """An error in the target's place."""
        if self._refuses:
            raise BrokenOff
        return error_answer(503, "unavailable", "injected fault: no metrics")


SCRAPE_FAILURE = FaultKind(
    name="scrape-failure",
    summary="the metrics of some targets cannot be scraped",
    target_labels=SCRAPE_LABELS,
    settings=ScrapeFailureSettings,
    build=ScrapeFailure,
)
