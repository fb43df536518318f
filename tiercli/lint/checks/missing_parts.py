"""alert/missing-parts: an alert without an owner, a severity, or an annotation that says what to do, by when and where to look."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.conventions import HEARTBEAT, OWNER_LABEL, SEVERITY_LABEL
from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted

_ANNOTATIONS = {"runbook": "runbook_url", "SLA": "sla", "panel": "dashboard_url", "summary": "summary"}


def _look(linted: Linted) -> Iterator[Found]:
    for rule in linted.alerts:
        missing = [name for name, key in _ANNOTATIONS.items() if not rule.annotations.get(key)]
        carried = "group_left (severity, owner)" in rule.expr
        if OWNER_LABEL not in rule.labels and not carried:
            missing.append("owner")
        if SEVERITY_LABEL not in rule.labels and not carried:
            missing.append("severity")
        if missing and rule.labels.get(SEVERITY_LABEL) != HEARTBEAT:
            yield rule.location, rule.name, f"no {', no '.join(missing)}"


CHECK = Check(
    "alert/missing-parts",
    Severity.ERROR,
    "add the labels severity and owner, and the annotations summary, runbook_url, sla and dashboard_url",
    _look,
    elsewhere=Severity.WARNING,
)
