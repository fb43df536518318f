"""What a series is called in a legend, and which label sets a filter such as {severity="page"} picks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

_LABEL = re.compile(r"\{\{\s*([a-zA-Z_][\w.]*)\s*\}\}")
_MATCHER = re.compile(r'([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^,"}\s]+)')


def series_name(legend: str, labels: Mapping[str, str]) -> str:
    """A series' name as Grafana writes it: the legend with its labels, or the series itself where there is none."""
    if legend and legend != "__auto":
        return _LABEL.sub(lambda match: labels.get(match[1], match[1]), legend).strip()
    rest = {label: value for label, value in labels.items() if label != "__name__"}
    inner = ", ".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in sorted(rest.items()))
    metric = labels.get("__name__", "")
    return f"{metric}{{{inner}}}" if inner else metric or "Value"


def legend_stem(legend: str, labels: Mapping[str, str]) -> str:
    """The part of a name that labels fill: what a signal, its baseline and its alarm have in common."""
    return " ".join(labels.get(name, "") for name in _LABEL.findall(legend))


def parse_matchers(text: str) -> list[tuple[str, Callable[[str], bool]]]:
    """Label and test of each matcher in `text`; what is no matcher is passed over, as Grafana does."""
    matchers: list[tuple[str, Callable[[str], bool]]] = []
    for label, operator, quoted in _MATCHER.findall(text):
        value = _unquoted(quoted)
        matchers.append((label, _test(operator, value)))
    return matchers


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _test(operator: str, value: str) -> Callable[[str], bool]:
    if operator == "=":
        return lambda got: got == value
    if operator == "!=":
        return lambda got: got != value
    try:
        pattern = re.compile(value)
    except re.error:
        return lambda got: False
    if operator == "=~":
        return lambda got: pattern.fullmatch(got) is not None
    return lambda got: pattern.fullmatch(got) is None
