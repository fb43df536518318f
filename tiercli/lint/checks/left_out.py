"""alert/left-out: an alarm that the catalog's sources cannot feed, so that it is not there. Worth knowing before the outage."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.finding import Severity
from tiercli.lint.interface import Check, Found
from tiercli.lint.linted import Linted


def _look(linted: Linted) -> Iterator[Found]:
    for alarm, (place, missing) in linted.left_out.items():
        yield place, alarm, f"no source of the catalog gives {', '.join(missing)}, so this alarm is left out"


CHECK = Check(
    "alert/left-out",
    Severity.INFO,
    "name a source that has it (tiercli sources show NAME says what each one gives), or accept that nobody will be told",
    _look,
)
