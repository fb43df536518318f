"""An alarm's thresholds in a catalog, for all and by label: as numbers, as PromQL, and as recorded constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tiercli.catalog.model import OVERRIDE_LABELS, AlarmSettings, Catalog, Override
from tiercli.conventions import threshold_series
from tiercli.rules.alarm import Alarm, Threshold
from tiercli.signals.promql import matcher
from tiercli.signals.rule import Rule, recording_rule


def limits_of(catalog: Catalog, alarm: str, thresholds: Mapping[str, Threshold]) -> dict[str, float]:
    """Each threshold without overrides: the catalog's value, or the default of the alarm's file."""
    settings = catalog.alarms.get(alarm, AlarmSettings())
    return {name: threshold.default for name, threshold in thresholds.items()} | settings.thresholds


def overrides_of(catalog: Catalog, alarm: str) -> tuple[Override, ...]:
    """The catalog's overrides of an alarm."""
    return catalog.alarms.get(alarm, AlarmSettings()).overrides


def covers(override: Override, labels: Mapping[str, str]) -> bool:
    """Whether an override applies to `labels`."""
    return override.labels().items() <= labels.items()


def overridden_thresholds(catalog: Catalog, alarm: str) -> frozenset[str]:
    """The thresholds that overrides set."""
    return frozenset(name for override in overrides_of(catalog, alarm) for name in override.thresholds)


def threshold_of(
    catalog: Catalog, alarm: str, threshold: str, limits: Mapping[str, float], labels: Mapping[str, str]
) -> float:
    """A threshold for `labels`: the override with the most labels wins."""
    matching = [
        override
        for override in overrides_of(catalog, alarm)
        if threshold in override.thresholds and covers(override, labels)
    ]
    best = max(matching, key=lambda override: len(override.labels()), default=None)
    return limits[threshold] if best is None else best.thresholds[threshold]


def threshold_records(catalog: Catalog, alarm: Alarm) -> Iterator[Rule]:
    """A constant for each override of each threshold: neither these nor the alert rules grow with the catalog."""
    for threshold in sorted(overridden_thresholds(catalog, alarm.alarm)):
        for override in overrides_of(catalog, alarm.alarm):
            if threshold in override.thresholds:
                yield recording_rule(
                    threshold_series(alarm.alarm, threshold),
                    f"vector({number(override.thresholds[threshold])})",
                    override.labels(),
                )


def number(value: float) -> str:
    """A number for PromQL: the shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def label_sets(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    """The distinct label sets of overrides, the largest first."""
    return sorted({tuple(override.labels()) for override in overrides}, key=lambda labels: (-len(labels), labels))


def joined(series: str, labels: Sequence[str], identity: Sequence[str]) -> tuple[str, str]:
    """The vector matching that joins `series` to its alerts, and `series` restricted to exactly `labels` of an alarm's
    identity."""
    others = [label for label in OVERRIDE_LABELS if label in identity and label not in labels]
    inside = ", ".join(matcher(label, "=", "") for label in others)
    return f"on ({', '.join(labels)})", f"{series}{{{inside}}}" if inside else series


class ThresholdExpressions:
    """Thresholds in PromQL: a number, or with overrides the recorded series, joined so that the number applies wherever none is
    recorded."""

    def __init__(self, catalog: Catalog, alarm: str, identity: Sequence[str], limits: Mapping[str, float]) -> None:
        self._alarm = alarm
        self._identity = tuple(identity)
        self._on = f"on ({', '.join(identity)})"
        self._limits = limits
        self._overrides = overrides_of(catalog, alarm)
        self._overridden = overridden_thresholds(catalog, alarm)

    def names(self) -> dict[str, Callable[..., str]]:
        """The functions by their names in templates."""
        return {"threshold": self.threshold, "compare": self.compare, "largest": self.largest, "typical": self.typical}

    def threshold(self, name: str, over: str) -> str:
        """The threshold as a vector with a value for each series of `over`; the most specific override wins."""
        choices = []
        for labels in label_sets([override for override in self._overrides if name in override.thresholds]):
            on, series = joined(threshold_series(self._alarm, name), labels, self._identity)
            choices.append(f"(0 * {over} + {on} group_left () {series})")
        choices.append(f"(0 * {over} + {number(self._limits[name])})")
        return choices[0] if len(choices) == 1 else f"({' or '.join(choices)})"

    def compare(self, signal: str, operator: str, name: str, times: str = "", by: str = "") -> str:
        """`signal` compared with the threshold, or with the threshold times the series `times`. `by`: the labels of the signal,
        where they are fewer than the alarm's."""
        on = f"on ({by})" if by else self._on
        limit = number(self._limits[name])
        if name not in self._overridden:
            return f"({signal} {operator} {f'{limit} * {times}' if times else limit})"
        right = self.threshold(name, times or signal)
        return f"({signal} {operator} {on} {f'({right} * {on} {times})' if times else right})"

    def largest(self, *vectors: str) -> str:
        """The largest of several vectors, for each of their label sets; one that does not exist does not count."""
        named = [f'label_replace({vector}, "of", "{place}", "", "")' for place, vector in enumerate(vectors)]
        return f"max by ({', '.join(self._identity)}) ({' or '.join(named)})"

    @staticmethod
    def typical(constant: str, over: str, otherwise: float) -> str:
        """What the catalog calls typical of a provider and region, a constant, for each series of `over`; `otherwise` where it
        says nothing."""
        return f"((0 * {over} + on (provider, region) group_left () {constant}) or (0 * {over} + {number(otherwise)}))"
