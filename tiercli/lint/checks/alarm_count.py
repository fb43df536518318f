"""alert/alarm-count: a panel of alarms that is too long to be read, or too short to notice much."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.conventions import HEARTBEAT, SEVERITY_LABEL
from tiercli.errors import Location
from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted

FEWEST, MOST = 5, 20


def _look(linted: Linted) -> Iterator[Found]:
    alerts = {rule.name for rule in linted.alerts if rule.labels.get(SEVERITY_LABEL) != HEARTBEAT}
    if linted.alerts and not FEWEST <= len(alerts) <= MOST:
        place = Location(linted.alerts[0].location.file, 1, 1)
        yield (
            place,
            "alarms",
            f"{len(alerts)} alarms: {'most are ignored' if len(alerts) > MOST else 'most signals are missed'}",
        )


CHECK = Check(
    "alert/alarm-count", Severity.WARNING, f"keep between {FEWEST} and {MOST}: what nobody acts on is no alarm", _look
)
