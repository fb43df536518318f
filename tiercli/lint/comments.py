"""Comments that silence one finding, for a time or for ever, and never without a reason.

    # tiercli: disable promql/short-range: the exporter is scraped every second
    # tiercli: disable alert/missing-parts ProviderDown until 2027-01-31: the runbook is being written

In a rule file a comment applies to the rule below it or around it. In a catalog or alarm file it applies to what is generated
from the file, or to one subject of it. In a dashboard it is part of a panel's description and applies to that panel.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tiercli.errors import Location
from tiercli.lint.interface import Finding, Severity
from tiercli.lint.linted import Linted, LintedFile

_COMMENT = re.compile(
    r"tiercli:\s*disable\s+(?P<code>[\w/-]+)(?:\s+(?!until\b)(?P<subject>[\w:.-]+))?"
    r"(?:\s+until\s+(?P<until>\S+?))?\s*(?::\s*(?P<reason>\S.*?))?\s*$"
)
_DIRECTIVE = re.compile(r"tiercli:\s*disable")


@dataclass(frozen=True, slots=True)
class Silence:
    """A comment that silences `code` for `subject` (for all subjects when empty). `lines`: where it applies in its own file;
    None: to everything that is generated from the file."""

    code: str
    subject: str
    until: datetime.date | None
    location: Location
    lines: tuple[int, int] | None

    def holds_for(self, finding: Finding, today: datetime.date) -> bool:
        """Whether it silences `finding`."""
        if self.code != finding.code or (self.until is not None and self.until < today):
            return False
        if self.subject and self.subject != finding.subject:
            return False
        if self.lines is None:
            return True
        here = finding.location
        return here.file == self.location.file and self.lines[0] <= here.line <= self.lines[1]


def find_silences(
    linted: Linted, sources: Iterable[LintedFile], codes: frozenset[str], today: datetime.date
) -> tuple[list[Silence], list[Finding]]:
    """Every comment that silences a finding, and the findings about comments. `sources`: the catalog and the alarm files, from
    which the rest is generated."""
    silences: list[Silence] = []
    findings: list[Finding] = []
    for comment, place, lines in (*_in_rules(linted), *_in_sources(sources), *_in_panels(linted)):
        match = _COMMENT.search(comment)
        if match is None or match["code"] not in codes:
            wrong = "names no check" if match else "cannot be read"
            findings.append(_finding("comment/unreadable", place, f"{comment.strip()!r} {wrong}"))
            continue
        until = None
        if match["until"]:
            try:
                until = datetime.date.fromisoformat(match["until"])
            except ValueError:
                findings.append(
                    _finding("comment/unreadable", place, f"{match['until']!r} is not a date such as 2027-01-31")
                )
                continue
        if not match["reason"]:
            findings.append(_finding("comment/no-reason", place, f"{match['code']} is silenced without a reason"))
        if until is not None and until < today:
            findings.append(_finding("comment/expired", place, f"{match['code']} was silenced until {until}"))
        silences.append(Silence(match["code"], match["subject"] or "", until, place, lines))
    return silences, findings


_DO = {
    "comment/unreadable": "write # tiercli: disable CODE [SUBJECT] [until YYYY-MM-DD]: reason",
    "comment/no-reason": "add the reason after a colon",
    "comment/expired": "fix the finding, or set a later date and its reason",
}
COMMENT_CODES = tuple(_DO)


def _finding(code: str, place: Location, found: str) -> Finding:
    return Finding(code, Severity.WARNING, place, "comment", found, _DO[code])


def _in_rules(linted: Linted) -> Iterator[tuple[str, Location, tuple[int, int] | None]]:
    for file in linted.rule_files:
        rules = [rule for rule in linted.rules if rule.location.file == file.name]
        for number, line in enumerate(file.text.splitlines(), 1):
            if "#" in line and _DIRECTIVE.search(line):
                rule = next((rule for rule in rules if number < rule.lines[1]), None)
                below = next((rule for rule in rules if number < rule.lines[0]), None)
                # A comment directly above a rule is still within the lines of the rule before; it is meant for the one below.
                if below is not None and all(
                    not text.strip() or text.lstrip().startswith("#")
                    for text in file.text.splitlines()[number - 1 : below.lines[0] - 1]
                ):
                    rule = below
                yield (
                    line[line.index("#") + 1 :],
                    Location(file.name, number, line.index("#") + 1),
                    rule.lines if rule else (number, number),
                )


def _in_sources(sources: Iterable[LintedFile]) -> Iterator[tuple[str, Location, tuple[int, int] | None]]:
    for file in sources:
        for number, line in enumerate(file.text.splitlines(), 1):
            if "#" in line and _DIRECTIVE.search(line):
                yield line[line.index("#") + 1 :], Location(file.name, number, line.index("#") + 1), None


def _in_panels(linted: Linted) -> Iterator[tuple[str, Location, tuple[int, int] | None]]:
    for panel in linted.panels:
        for line in panel.description.splitlines():
            if _DIRECTIVE.search(line):
                yield line, panel.location, (panel.location.line, panel.location.line)
