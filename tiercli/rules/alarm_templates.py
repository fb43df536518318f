"""What a file in templates/alerts/ can say in {{ }}: durations, labels, thresholds, series of its unit tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import yaml

from tiercli.catalog.model import Catalog
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, threshold_series
from tiercli.durations import format_duration, parse_duration
from tiercli.signals.contract import CODES_WITH_OWN_ALARM
from tiercli.signals.promql import any_of, matcher, selector
from tiercli.signals.timing import Timing

# Two scrapes and a bit: the shortest window in which increase() sees a change.
SHORTEST_WINDOW_SCRAPES = 2.5


def template_environment(timing: Timing) -> jinja2.Environment:
    """Jinja for configuration: undefined names are errors, and durations pass through `timing`."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration, not HTML
        trim_blocks=True,
    )
    environment.filters["duration"] = timing.duration
    environment.filters["window"] = timing.window
    environment.filters["total"] = lambda texts: timing.duration(
        format_duration(sum(parse_duration(text) for text in texts))
    )
    environment.globals["shortest_window"] = format_duration(SHORTEST_WINDOW_SCRAPES * timing.scrape_s)
    return environment


@dataclass(frozen=True, slots=True)
class Subjects:
    """Label sets for unit tests: real names of the catalog where it has them, invented ones where it has too few."""

    subject: Mapping[str, str]
    other: Mapping[str, str]
    cloud: Mapping[str, str]

    @staticmethod
    def of(catalog: Catalog) -> Subjects:
        """The first offer, another provider or region, and a cloud offer."""
        offers = [offer._asdict() for offer in catalog.offers()]
        first = offers[0]
        invented = {"provider": "another-provider", "model": "another-model", "region": "another-region"}
        place = (first["provider"], first["region"])
        other = next((one for one in offers if (one["provider"], one["region"]) != place), invented)
        cloud = next((one for one in offers if catalog.providers[one["provider"]].tier == "cloud"), invented)
        return Subjects(first, other, cloud)


def alarm_context(
    name: str, catalog: Catalog, timing: Timing, identity: Sequence[str], defaults: Mapping[str, float]
) -> dict[str, Any]:
    """The names that an alarm's template can use. `defaults` are its thresholds in this catalog."""
    subjects = Subjects.of(catalog)
    settings = catalog.alarms.get(name)
    overridden = {key for override in (settings.overrides if settings else ()) for key in override.thresholds}

    def limit(threshold: str, labels: Mapping[str, str] | None = None) -> float:
        return threshold_of(catalog, name, threshold, defaults, subjects.subject if labels is None else labels)

    return {
        "group_interval": catalog.alertmanager.group_interval,
        "own_alarm_codes": any_of(CODES_WITH_OWN_ALARM),
        "label": lambda label: f"{{{{ $labels.{label} }}}}",
        "value": lambda unit: _VALUE[unit],
        "ours": ", ".join((matcher(ESTATE_LABEL, "=", catalog.estate), matcher(ENV_LABEL, "=", catalog.env))),
        "effective": _effective(name, identity, defaults, overridden),
        "compare": _comparer(name, identity, defaults, overridden),
        "limit": limit,
        "series": lambda metric, labels, **more: _yaml_text(selector(metric, {**labels, **more})),
        "labels": lambda labels: _yaml_flow({key: labels[key] for key in identity if key in labels}),
        **_label_sets(subjects),
    }


def threshold_of(
    catalog: Catalog, alarm: str, threshold: str, defaults: Mapping[str, float], labels: Mapping[str, str]
) -> float:
    """A threshold for one provider, region and model: the override that names most labels wins."""
    best, value = -1, defaults[threshold]
    settings = catalog.alarms.get(alarm)
    for override in settings.overrides if settings else ():
        said = {key: getattr(override, key) for key in ("provider", "region", "model") if getattr(override, key)}
        matches = all(labels.get(key) == wanted for key, wanted in said.items())
        if matches and threshold in override.thresholds and len(said) > best:
            best, value = len(said), override.thresholds[threshold]
    return value


def number(value: float) -> str:
    """A number for PromQL: no more digits than it has."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(round(value, 12))


# How annotations quote $value, and how unit_tests.py expects it.
_VALUE = {
    "count": '{{ $value | printf "%.0f" }}',
    "seconds": '{{ $value | printf "%.2f" }} s',
    "percent": "{{ $value | humanizePercentage }}",
}


def _comparer(
    alarm: str, identity: Sequence[str], defaults: Mapping[str, float], overridden: set[str]
) -> Callable[..., str]:
    """`compare(signal, operator, threshold, times=series)`: against a number, or where the catalog has overrides
    against the recorded threshold, which falls back to the number wherever none is recorded."""
    on = ", ".join(identity)

    def compare(signal: str, operator: str, threshold: str, times: str = "") -> str:
        default = number(defaults[threshold])
        if threshold not in overridden:
            right = f"{default} * {times}" if times else default
            return f"({signal} {operator} {right})"
        recorded = f"({threshold_series(alarm, threshold)} or on ({on}) (0 * {times or signal} + {default}))"
        right = f"on ({on}) ({recorded} * on ({on}) {times})" if times else f"on ({on}) {recorded}"
        return f"({signal} {operator} {right})"

    return compare


def _effective(
    alarm: str, identity: Sequence[str], defaults: Mapping[str, float], overridden: set[str]
) -> Callable[..., str]:
    """`effective(signal, floor, ratio, baseline)`: the larger of floor and ratio × baseline; the floor without one."""
    on = ", ".join(identity)

    def effective(signal: str, floor: str, ratio: str, baseline: str) -> str:
        def vector(threshold: str, over: str) -> str:
            constant = f"(0 * {over} + {number(defaults[threshold])})"
            if threshold not in overridden:
                return constant
            return f"((0 * {over} + on ({on}) {threshold_series(alarm, threshold)}) or {constant})"

        least = vector(floor, signal)
        times = (
            f"({baseline} * {vector(ratio, baseline)})"
            if ratio in overridden
            else f"({number(defaults[ratio])} * {baseline})"
        )
        return f"({least} >= {times}) or {times} or {least}"

    return effective


def _label_sets(subjects: Subjects) -> dict[str, dict[str, str]]:
    sets: dict[str, dict[str, str]] = {}
    invented = {"provider": "invented-provider", "model": "invented-model", "region": "invented-region"}
    for name, labels in (
        ("subject", subjects.subject),
        ("other", subjects.other),
        ("cloud", subjects.cloud),
        ("invented", invented),
    ):
        sets[name] = dict(labels)
        sets[f"{name}_region"] = {key: labels[key] for key in ("provider", "region")}
    return sets


def _yaml_text(text: str) -> str:
    dumped = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return str(dumped).rstrip("\n")


def _yaml_flow(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {_yaml_text(value)}" for key, value in labels.items()) + "}"
