"""What a check is: a code, how bad what it finds is, what to do about it, and a function over what is linted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tiercli.errors import Location
from tiercli.lint.finding import Finding, Severity
from tiercli.lint.linted import Linted

# (place, subject, what was found)
Found = tuple[Location, str, str]


@dataclass(frozen=True, slots=True)
class Check:
    """`look` yields what it finds. `elsewhere` is the severity in files that tiercli did not make, where what is right cannot
    always be told."""

    code: str
    severity: Severity
    do: str
    look: Callable[[Linted], Iterator[Found]]
    elsewhere: Severity | None = None

    def findings(self, linted: Linted) -> Iterator[Finding]:
        """Everything that this check has to say."""
        severity = self.severity if linted.ours or self.elsewhere is None else self.elsewhere
        for location, subject, found in self.look(linted):
            yield Finding(self.code, severity, location, subject, found, self.do)
