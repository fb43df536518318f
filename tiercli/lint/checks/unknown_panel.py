"""alert/unknown-panel: an alert that links to a dashboard or panel that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted


def _look(linted: Linted) -> Iterator[Found]:
    if not linted.boards:
        return  # no dashboards to look in
    panels = {(panel.board, panel.number) for panel in linted.panels}
    for rule in linted.alerts:
        url = rule.annotations.get("dashboard_url", "")
        uid = re.search(r"/d/([\w-]+)", url)
        number = re.search(r"viewPanel=(\d+)", url)
        if uid is None:
            continue
        if uid[1] not in linted.boards:
            yield rule.location, rule.name, f"it links to dashboard {uid[1]}, which does not exist"
        elif number is not None and (linted.boards[uid[1]], int(number[1])) not in panels:
            yield (
                rule.location,
                rule.name,
                f"it links to panel {number[1]} of {linted.boards[uid[1]]}, which does not exist",
            )


CHECK = Check("alert/unknown-panel", Severity.ERROR, "link a panel that exists", _look)
