"""alert/lost-label: an annotation that quotes a label which the expression aggregates away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tiercli.errors import InvalidInput
from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted
from tiercli.signals.expressions import expression_labels
from tiercli.signals.parsed import parse

_LABEL = re.compile(r"\$labels\.(\w+)|\.Labels\.(\w+)")


def _look(linted: Linted) -> Iterator[Found]:
    for rule in linted.alerts:
        if parse(rule.expr) is None:
            continue
        try:
            labels = expression_labels(rule.expr, linted.known)
        except InvalidInput:
            continue  # it reads unknown series, so their labels are unknown too
        if labels is None:
            continue
        for annotation, text in sorted(rule.annotations.items()):
            for match in _LABEL.finditer(text):
                label = match[1] or match[2]
                if label not in labels and label not in rule.labels and label != "alertname":
                    yield rule.location, rule.name, f"{annotation} quotes {label!r}, which the expression does not have"


CHECK = Check(
    "alert/lost-label", Severity.ERROR, "keep the label in the aggregation, or remove it from the annotation", _look
)
