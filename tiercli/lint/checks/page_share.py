"""alert/page-share: so large a share of pages that the real ones are ignored."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.conventions import HEARTBEAT, SEVERITY_LABEL
from tiercli.errors import Location
from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted

MOST = 1 / 3


def _look(linted: Linted) -> Iterator[Found]:
    severities = {rule.name: rule.labels.get(SEVERITY_LABEL, "") for rule in linted.alerts}
    alarms = [severity for severity in severities.values() if severity != HEARTBEAT]
    pages = sum(severity in ("page", "critical") for severity in alarms)
    if alarms and pages > MOST * len(alarms):
        place = Location(linted.alerts[0].location.file, 1, 1)
        yield place, "alarms", f"{pages} of {len(alarms)} alarms are pages"


CHECK = Check("alert/page-share", Severity.WARNING, "page only for what cannot wait; notify for the rest", _look)
