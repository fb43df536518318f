"""What a check is and what it reports. Findings are values; each code has a page that `tiercli lint --explain CODE` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from tiercli.catalog.names import unknown_name
from tiercli.errors import InvalidInput, Location
from tiercli.lint.linted import Linted
from tiercli.resources import resource_folder

# (place, subject, message)
Found = tuple[Location, str, str]


class Severity(IntEnum):
    """How bad a finding is. An error is wrong, a warning is doubtful, an info is worth knowing."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """The severity in outputs."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a check. `code` is area/name, and names the check's file and page; `subject` is the alert, record or panel;
    `found` what is wrong with it; `do` what to do."""

    code: str
    severity: Severity
    location: Location
    subject: str
    found: str
    do: str

    @property
    def page(self) -> str:
        """The command that prints the page about this code."""
        return f"tiercli lint --explain {self.code}"


@dataclass(frozen=True, slots=True)
class Check:
    """`look` yields what is wrong. `elsewhere` is the severity in files that tiercli did not generate, where a check cannot
    always know what is right."""

    code: str
    severity: Severity
    do: str
    look: Callable[[Linted], Iterator[Found]]
    elsewhere: Severity | None = None

    def findings(self, linted: Linted) -> Iterator[Finding]:
        """Everything that this check finds."""
        severity = self.severity if linted.ours or self.elsewhere is None else self.elsewhere
        for location, subject, message in self.look(linted):
            yield Finding(self.code, severity, location, subject, message, self.do)


def load_page(code: str) -> str:
    """The page about a code of lint or of `tiercli budget`, as Markdown. Raises InvalidInput for an unknown code."""
    folder = resource_folder("docs") / "checks"
    pages = {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.md"))}
    if code not in pages:
        raise InvalidInput("unknown check", [unknown_name("check", code, pages, Location("--explain"))])
    return pages[code].read_text(encoding="utf-8")
