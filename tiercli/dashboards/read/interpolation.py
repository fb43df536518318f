"""Grafana's variables in a text, filled in as Grafana and its Prometheus data source do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tiercli.dashboards.read.board import Variable

ALL = "$__all"
_PLACE = re.compile(r"\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]")
_REGEX_SIGNS = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_PROMETHEUS_SIGNS = re.compile(r"[$^*{}\[\]'+?.()|]")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen of one variable: `values`; `whole`: everything, which `all_value` stands for when it is given."""

    values: tuple[str, ...]
    multi: bool = False
    whole: bool = False
    all_value: str = ""

    @property
    def text(self) -> str:
        """As Grafana shows it in a title."""
        return "All" if self.whole else " + ".join(self.values)


Choices = Mapping[str, Choice]


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """The range shown, and the time between two points, in seconds; `scrape_s`: the data source's scrape interval."""

    range_s: float
    step_s: float
    scrape_s: float

    def built_in(self) -> dict[str, str]:
        """Grafana's own variables."""
        rate = max(self.step_s + self.scrape_s, 4 * self.scrape_s)
        return {
            "__interval": _duration(self.step_s),
            "__interval_ms": str(round(self.step_s * 1000)),
            "__rate_interval": _duration(rate),
            "__rate_interval_ms": str(round(rate * 1000)),
            "__range": f"{round(self.range_s)}s",
            "__range_s": str(round(self.range_s)),
            "__range_ms": str(round(self.range_s * 1000)),
        }


_AN_HOUR = TimeSpan(range_s=3600, step_s=3600, scrape_s=900)


def choose(variable: Variable, wanted: Sequence[str], options: Sequence[str]) -> Choice:
    """What a variable holds when the operator wants `wanted` (nothing: all, or else its own value or first option)."""
    multi = variable.multi or variable.include_all
    if wanted and ALL not in wanted:
        return Choice(tuple(dict.fromkeys(wanted)), multi)
    if variable.include_all:
        return Choice(tuple(options), multi, whole=True, all_value=variable.all_value)
    return Choice(tuple(value for value in variable.current if value != ALL) or tuple(options[:1]), multi)


def fill_query(text: str, choices: Choices, span: TimeSpan) -> str:
    """A PromQL expression with its variables filled in. What is no variable stays as it is, as in Grafana."""
    return _fill(text, choices, span, _for_prometheus)


def fill_title(text: str, choices: Choices, span: TimeSpan) -> str:
    """A title with the names of what is chosen."""
    return _fill(text, choices, span, lambda choice: choice.text)


def fill_any(text: str, chosen: Mapping[str, str] | None = None) -> str:
    """A PromQL expression with every variable filled in, whatever the board: `chosen` ones with their value, Grafana's own as over
    an hour, all others with everything (`.*`), or with an hour where a duration belongs."""
    choices = {name: Choice((value,), multi=True) for name, value in (chosen or {}).items()}
    return _fill(text, choices, _AN_HOUR, _for_prometheus, _anything)


def _anything(match: re.Match[str]) -> str:
    inside = match.string[: match.start()].rpartition("[")
    return "1h" if inside[1] and "]" not in inside[2] and '"' not in inside[2] else ".*"


def _fill(
    text: str,
    choices: Choices,
    span: TimeSpan,
    plain: Callable[[Choice], str],
    unknown: Callable[[re.Match[str]], str] = lambda match: match[0],
) -> str:
    built_in = span.built_in()

    def fill(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4]
        if name in built_in:
            return built_in[name]
        if name not in choices:
            return unknown(match)
        choice, form = choices[name], match[3] or match[5] or ""
        if choice.whole and choice.all_value:
            return choice.all_value
        return _FORMATS[form](choice.values) if form in _FORMATS else plain(choice)

    return _PLACE.sub(fill, text)


def _for_prometheus(choice: Choice) -> str:
    """A value alone is escaped for a string; of a variable that can hold several, for a regular expression in one."""
    if not choice.multi:
        return "".join(value.replace("\\", "\\\\").replace('"', '\\"') for value in choice.values[:1])
    escaped = [_PROMETHEUS_SIGNS.sub(r"\\\\\g<0>", value.replace("\\", "\\" * 4)) for value in choice.values]
    escaped = [value.replace('"', '\\"') for value in escaped]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _regex(values: Sequence[str]) -> str:
    """Escaped once, as a regular expression; in a quoted PromQL string a value with a dot is then an error, in Grafana
    as here."""
    escaped = [_REGEX_SIGNS.sub(r"\\\g<0>", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


_FORMATS: Mapping[str, Callable[[Sequence[str]], str]] = {
    "regex": _regex,
    "pipe": "|".join,
    "csv": ",".join,
    "raw": ",".join,
    "text": " + ".join,
    "glob": lambda values: values[0] if len(values) == 1 else f"{{{','.join(values)}}}",
    "json": lambda values: json.dumps(list(values), ensure_ascii=False),
    "doublequote": lambda values: ",".join('"' + value.replace('"', '\\"') + '"' for value in values),
    "singlequote": lambda values: ",".join("'" + value.replace("'", "\\'") + "'" for value in values),
    "percentencode": lambda values: quote(
        values[0] if len(values) == 1 else f"{{{','.join(values)}}}", safe="-_.!~*'()"
    ),
}


def _duration(seconds: float) -> str:
    return f"{round(seconds)}s" if seconds >= 1 and seconds == round(seconds) else f"{max(1, round(seconds * 1000))}ms"
