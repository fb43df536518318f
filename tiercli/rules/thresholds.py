"""An alarm's thresholds in a catalog: what holds for whom, as numbers, as PromQL, and as recorded constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tiercli.catalog.model import AlarmSettings, Catalog, Override
from tiercli.conventions import threshold_series
from tiercli.rules.alarm import Alarm, Record, Threshold


def limits_of(catalog: Catalog, alarm: str, thresholds: Mapping[str, Threshold]) -> dict[str, float]:
    """Each threshold as the catalog sets it for everyone, or as the alarm's file has it."""
    settings = catalog.alarms.get(alarm, AlarmSettings())
    return {name: one.default for name, one in thresholds.items()} | settings.thresholds


def override_labels(override: Override) -> dict[str, str]:
    """The labels that an override names."""
    named = {"provider": override.provider, "model": override.model, "region": override.region}
    return {label: value for label, value in named.items() if value is not None}


def overridden_thresholds(catalog: Catalog, alarm: str) -> frozenset[str]:
    """The thresholds that the catalog sets for some providers, models or regions only."""
    settings = catalog.alarms.get(alarm, AlarmSettings())
    return frozenset(name for override in settings.overrides for name in override.thresholds)


def threshold_of(
    catalog: Catalog, alarm: str, threshold: str, limits: Mapping[str, float], labels: Mapping[str, str]
) -> float:
    """A threshold for one provider, model and region: the override that names most labels wins."""
    best, value = -1, limits[threshold]
    for override in catalog.alarms.get(alarm, AlarmSettings()).overrides:
        named = override_labels(override)
        matches = all(labels.get(label) == wanted for label, wanted in named.items())
        if matches and threshold in override.thresholds and len(named) > best:
            best, value = len(named), override.thresholds[threshold]
    return value


def threshold_records(catalog: Catalog, alarm: Alarm) -> Iterator[Record]:
    """A constant for each identity that has a threshold of its own: alert rules do not grow with the catalog."""
    limits = limits_of(catalog, alarm.alarm, alarm.thresholds)
    for threshold in sorted(overridden_thresholds(catalog, alarm.alarm)):
        seen: set[tuple[str, ...]] = set()
        for offer in catalog.offers():
            labels = {label: value for label, value in offer._asdict().items() if label in alarm.identity}
            value = threshold_of(catalog, alarm.alarm, threshold, limits, labels)
            if tuple(labels.values()) not in seen and value != limits[threshold]:
                seen.add(tuple(labels.values()))
                record = threshold_series(alarm.alarm, threshold)
                yield Record(record=record, expr=f"vector({number(value)})", labels=labels)


def number(value: float) -> str:
    """A number for PromQL: the shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


class ThresholdExpressions:
    """A threshold's place in PromQL. Against a number; where the catalog has overrides, against the recorded series,
    joined so that it falls back to the number wherever none is recorded."""

    def __init__(self, catalog: Catalog, alarm: str, identity: Sequence[str], limits: Mapping[str, float]) -> None:
        self._alarm = alarm
        self._on = f"on ({', '.join(identity)})"
        self._limits = limits
        self._overridden = overridden_thresholds(catalog, alarm)

    def names(self) -> dict[str, Callable[..., str]]:
        """What a template calls them by."""
        return {"threshold": self.threshold, "compare": self.compare, "effective": self.effective}

    def threshold(self, name: str, over: str) -> str:
        """The threshold as a vector: a value for each series of `over`."""
        constant = f"(0 * {over} + {number(self._limits[name])})"
        if name not in self._overridden:
            return constant
        return f"((0 * {over} + {self._on} {threshold_series(self._alarm, name)}) or {constant})"

    def compare(self, signal: str, operator: str, name: str, times: str = "") -> str:
        """`signal` compared with the threshold, or with the threshold times the series `times`."""
        limit = number(self._limits[name])
        if name not in self._overridden:
            return f"({signal} {operator} {f'{limit} * {times}' if times else limit})"
        right = self.threshold(name, times or signal)
        return f"({signal} {operator} {self._on} {f'({right} * {self._on} {times})' if times else right})"

    def effective(self, signal: str, floor: str, ratio: str, baseline: str) -> str:
        """The larger of floor and ratio × baseline, for each series of `signal`; the floor where there is no
        baseline."""
        least = self.threshold(floor, signal)
        if ratio in self._overridden:
            times = f"({baseline} * {self._on} {self.threshold(ratio, baseline)})"
        else:
            times = f"({number(self._limits[ratio])} * {baseline})"
        return f"({least} >= {times}) or {times} or {least}"
