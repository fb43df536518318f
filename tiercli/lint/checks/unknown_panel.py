"""alert/unknown-panel: an alert that leads to a dashboard or a panel that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted


def _look(linted: Linted) -> Iterator[Found]:
    if not linted.boards:
        return  # no dashboards were given to look in
    panels = {(panel.board, panel.number) for panel in linted.panels}
    names = dict(linted.boards)
    for rule in linted.alerts:
        url = rule.annotations.get("dashboard_url", "")
        uid = re.search(r"/d/([\w-]+)", url)
        number = re.search(r"viewPanel=(\d+)", url)
        if uid is None:
            continue
        if uid[1] not in names:
            yield rule.location, rule.name, f"it leads to dashboard {uid[1]}, which is not there"
        elif number is not None and (names[uid[1]], int(number[1])) not in panels:
            yield rule.location, rule.name, f"it leads to panel {number[1]} of {names[uid[1]]}, which is not there"


CHECK = Check("alert/unknown-panel", Severity.ERROR, "link a panel that exists", _look)
