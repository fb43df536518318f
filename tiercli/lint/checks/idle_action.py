"""alert/idle-action: an alert whose action is only to watch: nobody needs to be told for that."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tiercli.conventions import HEARTBEAT, SEVERITY_LABEL
from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted

# An action is a list of things to do; it is idle when each of them is to look at something that is drawn, or to wait.
_CLAUSES = re.compile(r"[.,;:]|\b(?:and|then)\b", re.IGNORECASE)
_SHOWN = r"\b(?:dash)?boards?\b|\b(?:panel|pane|graph|chart|grafana)s?\b"
_IDLE = re.compile(
    rf"""(?:please\s+|just\s+)*(?:
        (?:watch|look\s+at|keep\s+an\s+eye\s+on|observe|monitor|view|see|check|open|follow)\b.*(?:{_SHOWN})
        (?:\s+(?:closely|carefully|for\s+a\s+while))?
        |(?:watch|observe|monitor|keep\s+(?:watching|an\s+eye\s+on))(?:\s+(?:it|this|closely))*
        |wait(?:\s+and\s+see)?|see
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def _look(linted: Linted) -> Iterator[Found]:
    for rule in linted.alerts:
        action = rule.annotations.get("action", "")
        clauses = [clause for part in _CLAUSES.split(action) if (clause := part.strip())]
        if clauses and all(map(_IDLE.fullmatch, clauses)) and rule.labels.get(SEVERITY_LABEL) != HEARTBEAT:
            yield rule.location, rule.name, f"its action is only to watch: {action}"


CHECK = Check(
    "alert/idle-action",
    Severity.WARNING,
    "say what whoever is told has to do, or make it a panel and no alarm",
    _look,
)
