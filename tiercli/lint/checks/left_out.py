"""alert/left-out: an alarm that is left out because no source of the catalog provides its signals."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted


def _look(linted: Linted) -> Iterator[Found]:
    for alarm, (place, missing) in linted.left_out.items():
        yield place, alarm, f"no source of the catalog provides {', '.join(missing)}, so this alarm is left out"


CHECK = Check(
    "alert/left-out",
    Severity.INFO,
    "add a source that provides it (`tiercli sources show NAME` lists what each one provides), or accept the gap",
    _look,
)
