"""Building PromQL: names of a catalog are quoted.

A name from a catalog enters an expression only through `quote`, `matcher` or `selector`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_LABEL_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")


def quote(value: str) -> str:
    """`value` as a double-quoted PromQL string literal (Go's escapes, as Prometheus' lexer reads them)."""
    out = []
    for char in value:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif ord(char) < 0x20 or ord(char) == 0x7F:
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def matcher(label: str, operator: str, value: str) -> str:
    """One label matcher. `value` is quoted; for =~ and !~ it is the regular expression itself (see `any_of`)."""
    if not _LABEL_NAME.match(label):
        raise ValueError(f"{label!r} is not a label name")
    if operator not in ("=", "!=", "=~", "!~"):
        raise ValueError(f"{operator!r} is not a matcher's operator")
    return f"{label}{operator}{quote(value)}"


def any_of(values: list[str] | tuple[str, ...]) -> str:
    """An RE2 expression that matches exactly one of `values`, for =~ and !~."""
    return "|".join(re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value) for value in values)


def selector(metric: str, labels: Mapping[str, str]) -> str:
    """`metric` with an equality matcher for each of `labels`."""
    inside = ", ".join(matcher(label, "=", value) for label, value in labels.items())
    return f"{metric}{{{inside}}}"


def grouped_by(metric: str, labels: Sequence[str], look_back: str) -> str:
    """Each combination of `labels` that `metric` had in the last `look_back` (a Prometheus duration)."""
    for name in (metric, *labels):
        if not _LABEL_NAME.match(name.replace(":", "_")):
            raise ValueError(f"{name!r} is not a metric's or label's name")
    return f"group by ({', '.join(labels)}) (last_over_time({metric}[{look_back}]))"
