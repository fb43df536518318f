"""What a check says: findings are values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tiercli.errors import Location


class Severity(IntEnum):
    """How bad a finding is. An error is wrong, a warning is doubtful, an info is worth knowing."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """As the command line says it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found. `code` is area/name, and gives the check's file and its page; `subject` is the alert,
    the record or the panel that it is about; `do` is what to do."""

    code: str
    severity: Severity
    location: Location
    subject: str
    found: str
    do: str

    @property
    def page(self) -> str:
        """The page that says more."""
        return f"docs/checks/{self.code}.md"
