"""alert/alarm-count: too many alarms to react to, or too few to notice most failures."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.conventions import HEARTBEAT, SEVERITY_LABEL
from tiercli.errors import Location
from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted

FEWEST, MOST = 5, 20


def _look(linted: Linted) -> Iterator[Found]:
    alerts = {rule.name for rule in linted.alerts if rule.labels.get(SEVERITY_LABEL) != HEARTBEAT}
    if linted.alerts and not FEWEST <= len(alerts) <= MOST:
        consequence = "most are ignored" if len(alerts) > MOST else "most failures go unnoticed"
        count = f"{len(alerts)} alarm{'s' if len(alerts) != 1 else ''}"
        yield Location(linted.alerts[0].location.file, 1, 1), "alarms", f"{count}: {consequence}"


CHECK = Check(
    "alert/alarm-count", Severity.WARNING, f"keep between {FEWEST} and {MOST} alarms; each needs an action", _look
)
