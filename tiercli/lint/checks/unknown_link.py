"""dashboard/unknown-link: a panel that links to a dashboard that does not exist."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted


def _look(linted: Linted) -> Iterator[Found]:
    for panel in linted.panels:
        for uid in dict.fromkeys(panel.links):
            if uid not in linted.boards:
                yield (
                    panel.location,
                    f"{panel.board}: {panel.title}",
                    f"it links to dashboard {uid}, which does not exist",
                )


CHECK = Check("dashboard/unknown-link", Severity.ERROR, "link a dashboard that exists", _look, elsewhere=Severity.INFO)
