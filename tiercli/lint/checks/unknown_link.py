"""dashboard/unknown-link: a panel that leads to a dashboard that is not there."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted


def _look(linted: Linted) -> Iterator[Found]:
    for panel in linted.panels:
        for uid in dict.fromkeys(panel.links):
            if uid not in linted.boards:
                yield (
                    panel.location,
                    f"{panel.board}: {panel.title}",
                    f"it leads to dashboard {uid}, which is not there",
                )


CHECK = Check("dashboard/unknown-link", Severity.ERROR, "link a dashboard that exists", _look, elsewhere=Severity.INFO)
