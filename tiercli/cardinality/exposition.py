"""Exposition text, in Prometheus' format or OpenMetrics, counted: series by metric, values by label.

Prometheus rejects a scrape in which one line is malformed. Here every malformed line is reported with line and column, and the
others are counted. (prometheus_client's parsers stop at the first.)
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tiercli.cardinality.vendor import VendorCounts
from tiercli.catalog.model import Catalog
from tiercli.errors import Location, Problem
from tiercli.signals.contract import CONTRACT, METRICS_BY_SERIES
from tiercli.signals.exposed import contract_targets
from tiercli.signals.vendor_metrics import created_series

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_KEY = rf"(?:[a-zA-Z_][a-zA-Z0-9_]*|{_STRING})"
_PAIR = rf"\s*{_KEY}\s*=\s*{_STRING}\s*"
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABELS = rf"(?:{_PAIR}(?:,{_PAIR})*,?\s*)?"
_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[Ii]nf(?:inity)?|[Nn]a[Nn])"
# name{labels} value [time] [# {labels} value [time]]; a name in quotes stands first in the braces (Prometheus 3).
_SAMPLE = re.compile(
    rf"(?:({_NAME})\s*(?:\{{({_LABELS})\}})?|\{{\s*({_STRING})\s*,?({_LABELS})\}})\s*"
    rf"({_NUMBER})(?:\s+({_NUMBER}))?(?:\s+#\s*\{{{_LABELS}\}}\s+{_NUMBER}(?:\s+{_NUMBER})?)?\s*$"
)
_PAIRS = re.compile(rf"({_KEY})\s*=\s*({_STRING})")
_SUFFIXES = ("_bucket", "_sum", "_count")
_WITH_PARTS = ("histogram", "summary")
SHOWN_PROBLEMS = 20
# Labels of the contract whose values a catalog knows; of other metrics, the labels that a binding maps to these.
CATALOG_LABELS = frozenset(("tenant", "feature", "alias", "provider", "model", "region"))
# Dimensions whose values a gateway takes from the catalog; its names of providers, models and regions are often its own.
_KNOWN_DIMENSIONS = frozenset(("tenant", "alias", "deployment"))


@dataclass(frozen=True)
class ScrapedMetrics:
    """`labels`: by metric its watched labels, each with the dimension of the catalog that its values belong to. `parts`: by series
    name the metric that it is a part of, where the names differ."""

    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)

    def family(self, series: str) -> str:
        """The metric that a series belongs to."""
        return self.parts.get(series, series)

    @property
    def watched(self) -> frozenset[str]:
        """Every label that is watched, of any metric."""
        return frozenset(label for labels in self.labels.values() for label in labels)


CONTRACT_ONLY = ScrapedMetrics(
    {metric.name: {label: label for label in metric.labels if label in CATALOG_LABELS} for metric in CONTRACT},
    {series: metric.name for series, metric in METRICS_BY_SERIES.items()},
)


def scraped_metrics(catalog: Catalog) -> ScrapedMetrics:
    """What the targets of a catalog expose, as far as their bindings name it."""
    counted = contract_targets(catalog)
    labels = dict(CONTRACT_ONLY.labels) if counted else {}
    parts = dict(CONTRACT_ONLY.parts) if counted else {}
    for source in VendorCounts(catalog).sources:
        values = source.binding.label_values if source.provider is None else {}
        dimensions = {label: str(value) for label, value in values.items() if value in _KNOWN_DIMENSIONS}
        older = ((name, metric) for name, metric in source.binding.metrics.items() if metric.older)
        parts |= {part: name for name, metric in older for part in metric.exposed(name)}
        for name, metric, _ in source.binding.counted():
            labels[name] = {label: dimensions[label] for label in metric.labels if label in dimensions}
            if metric.type in _WITH_PARTS:
                parts |= {f"{name}{part}": name for part in _SUFFIXES}
            if source.binding.created and metric.type != "gauge":
                parts[created_series(name, metric.type)] = name
    return ScrapedMetrics(labels, parts)


@dataclass
class Exposed:
    """What a text exposes. `series`: by metric, a histogram's parts together; `values`: series by metric of the contract, label
    and value; `types`: as the text says; `problems`: malformed lines and duplicate series (the first SHOWN_PROBLEMS);
    `wrong`: their number."""

    series: Counter[str] = field(default_factory=Counter)
    values: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    types: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    wrong: int = 0


@dataclass
class Shape:
    """The labels of all series of one metric, and the bounds of its buckets as the text has them."""

    labels: set[str] = field(default_factory=set)
    bounds: set[str] = field(default_factory=set)


def read_exposition(
    lines: Iterable[str],
    name: str,
    scraped: ScrapedMetrics = CONTRACT_ONLY,
    shapes: dict[str, Shape] | None = None,
) -> Exposed:
    """Read exposition text line by line; `name`: the file in problems. Of `scraped` metrics, the values of catalog
    labels are counted. `shapes` gains that of each metric."""
    exposed = Exposed()
    seen: set[str] = set()
    families: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text or text[0] == "#":
            _read_comment(text, exposed.types)
            continue
        matched = _SAMPLE.match(text)
        if matched is None:
            if text.strip():
                _report(exposed, _malformed(text, Location(name, number)))
            continue
        metric = matched[1] or matched[3][1:-1]
        pairs = _PAIRS.findall(matched[2] or matched[4] or "")
        key = metric + ",".join(sorted(f"{label}={value}" for label, value in pairs)) if pairs else metric
        if key in seen:
            duplicate = f"{metric} appears twice with the same labels: Prometheus drops one"
            _report(exposed, Problem(Location(name, number, 1), duplicate))
            continue
        seen.add(key)
        family = families.get(metric)
        if family is None:
            family = families[metric] = _family(metric, exposed.types, scraped)
        exposed.series[family] += 1
        if shapes is not None:
            shape = shapes.setdefault(family, Shape())
            shape.labels.update(label for label, _ in pairs if label != "le")
            shape.bounds.update(_unquoted(value) for label, value in pairs if label == "le")
        watched = scraped.labels.get(family)
        if watched:
            for label, value in pairs:
                if label in watched:
                    exposed.values[family, label][value] += 1
    for counter_key, counter in exposed.values.items():
        exposed.values[counter_key] = Counter({_unquoted(value): count for value, count in counter.items()})
    return exposed


def _read_comment(text: str, types: dict[str, str]) -> None:
    words = text.split(None, 4)
    if len(words) >= 4 and words[:2] == ["#", "TYPE"]:
        types[words[2].strip('"')] = words[3]


def _family(metric: str, types: dict[str, str], scraped: ScrapedMetrics) -> str:
    """The metric that a sample belongs to: of a histogram or summary without the suffix, of an OpenMetrics counter with _total."""
    known = scraped.family(metric)
    if known == metric:
        for suffix in _SUFFIXES:
            base = metric.removesuffix(suffix)
            if base != metric and types.get(base) in _WITH_PARTS:
                return base
    return known


def _report(exposed: Exposed, problem: Problem) -> None:
    exposed.wrong += 1
    if len(exposed.problems) < SHOWN_PROBLEMS:
        exposed.problems.append(problem)


def _malformed(text: str, place: Location) -> Problem:
    """Where a line stops being a sample, and what was expected there."""
    at, wanted = 0, "a metric's name"
    name = re.match(rf"{_NAME}|(?=\{{)", text)
    if name is not None:
        at, wanted = name.end(), "{ and labels, or a value"
        opened = re.compile(r"\s*\{").match(text, at)
        if opened is not None:
            at, wanted = _after_labels(text, opened.end())
        value = (
            re.compile(rf"\s*{_NUMBER}").match(text, at) if wanted in ("a value", "{ and labels, or a value") else None
        )
        if value is not None:
            at, wanted = value.end(), "the end of the line, or a time"
    at += len(text[at:]) - len(text[at:].lstrip())
    rest = text[at : at + 20].strip() or "the end of the line"
    return Problem(Location(place.file, place.line, at + 1), f"malformed: {rest!r}", wanted)


def _after_labels(text: str, at: int) -> tuple[int, str]:
    pair = re.compile(rf"\s*(?:{_PAIR}|{_STRING}\s*),?\s*")
    while (matched := pair.match(text, at)) is not None:
        at = matched.end()
    if text[at : at + 1] == "}":
        return at + 1, "a value"
    return at, 'label="value", or }'


def _unquoted(value: str) -> str:
    inside = value[1:-1]
    if "\\" not in inside:
        return inside
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], inside)
