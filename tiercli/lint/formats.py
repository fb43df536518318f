"""Findings as text, JSON, GitHub annotations or SARIF 2.1.0."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tiercli import __version__
from tiercli.errors import Location
from tiercli.lint.interface import Check, Finding, Severity

_SARIF_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_GITHUB_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def counted(findings: Sequence[Finding]) -> str:
    """How many findings there are, in words."""
    counts = Counter(finding.severity for finding in findings)
    words = [
        f"{counts[severity]} {severity.word}{'s' if counts[severity] != 1 and severity is not Severity.INFO else ''}"
        for severity in sorted(Severity, reverse=True)
        if counts[severity]
    ]
    return ", ".join(words) or "nothing found"


def as_json(findings: Sequence[Finding]) -> str:
    """One JSON object."""
    entries = [
        {
            "code": finding.code,
            "severity": finding.severity.word,
            "file": finding.location.file,
            "line": finding.location.line,
            "column": finding.location.column,
            "subject": finding.subject,
            "found": finding.found,
            "do": finding.do,
            "page": finding.page,
        }
        for finding in findings
    ]
    return json.dumps({"findings": entries}, indent=2, ensure_ascii=False)


def github_annotation(level: str, message: str, *, title: str = "", place: Location | None = None) -> str:
    """One workflow command: level is error, warning or notice. Whatever a name holds, it stays inside the message or its property."""
    properties: dict[str, str] = {}
    if place is not None:
        properties = {"file": place.file, "line": str(max(1, place.line))}
        properties |= {"col": str(place.column)} if place.column else {}
    properties |= {"title": title} if title else {}
    stated = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {stated}::{_data(message)}" if stated else f"::{level}::{_data(message)}"


def as_github(findings: Sequence[Finding]) -> str:
    """Workflow commands, which GitHub shows at the lines."""
    return "\n".join(
        github_annotation(
            _GITHUB_LEVEL[finding.severity],
            f"{finding.subject}: {finding.found}. {finding.do}",
            title=finding.code,
            place=finding.location,
        )
        for finding in findings
    )


def as_sarif(findings: Sequence[Finding], checks: Sequence[Check]) -> str:
    """A SARIF 2.1.0 log with one run."""
    rules: list[dict[str, Any]] = [
        {
            "id": check.code,
            "shortDescription": {"text": check.code},
            "help": {"text": check.do},
            "defaultConfiguration": {"level": _SARIF_LEVEL[check.severity]},
        }
        for check in checks
    ]
    known = {check.code for check in checks}
    rules += [
        {"id": code, "shortDescription": {"text": code}}
        for code in dict.fromkeys(finding.code for finding in findings if finding.code not in known)
    ]
    results = [
        {
            "ruleId": finding.code,
            "level": _SARIF_LEVEL[finding.severity],
            "message": {"text": f"{finding.subject}: {finding.found}. {finding.do}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.location.file},
                        "region": {
                            "startLine": max(1, finding.location.line),
                            "startColumn": max(1, finding.location.column),
                        },
                    }
                }
            ],
        }
        for finding in findings
    ]
    driver = {"name": "tiercli", "version": __version__, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=2, ensure_ascii=False)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
