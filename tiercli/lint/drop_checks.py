"""What the catalog drops at the scrape, checked: it must exist, nothing may need it, and no two series may become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from tiercli.cardinality.combinations import count_values
from tiercli.cardinality.estate import Estates
from tiercli.cardinality.scraped_metrics import CATALOG_LABELS
from tiercli.cardinality.vendor import VendorCounts
from tiercli.catalog.document import KeyPath
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Drops
from tiercli.catalog.names import repeated, unknown_name
from tiercli.errors import Problem
from tiercli.lint.metric_readers import MetricReaders
from tiercli.lint.policy_checks import listed_names
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.signals.contract import METRICS_BY_NAME
from tiercli.signals.exposed import exposed_metrics

_HERE: KeyPath = ("cardinality", "drop")


def metric_readers(loaded: LoadedCatalog, template_folders: Sequence[Path] = ()) -> MetricReaders:
    """The readers of a catalog's metrics. Raises InvalidInput as load_alarm_set does."""
    # A panel counts the series of every metric that has a budget; when the metric is dropped, the panel is without it.
    cardinality = loaded.catalog.cardinality.model_copy(update={"metrics": {}})
    bare = replace(loaded, catalog=loaded.catalog.model_copy(update={"cardinality": cardinality}))
    return MetricReaders(load_alarm_set(bare, timing_of(bare.catalog), template_folders), bare)


def check_drops(loaded: LoadedCatalog, template_folders: Sequence[Path] = ()) -> list[Problem]:
    """Problems of what is dropped: unknown and repeated names, what is needed, and labels with several values."""
    return list(_DropChecks(loaded, lambda: metric_readers(loaded, template_folders)).problems())


class _DropChecks:
    """The checks of one catalog. Who reads what is asked only where something could be dropped."""

    def __init__(self, loaded: LoadedCatalog, readers: Callable[[], MetricReaders]) -> None:
        self._loaded, self._find_readers = loaded, readers
        self._drops: Drops = loaded.catalog.cardinality.drop
        self._exposed = exposed_metrics(loaded.catalog)

    @cached_property
    def _readers(self) -> MetricReaders:
        return self._find_readers()

    def problems(self) -> Iterator[Problem]:
        """Every problem, in the order of the entries."""
        twice = dict(repeated(self._drops.metrics))
        for position, name in enumerate(self._drops.metrics):
            place: KeyPath = (*_HERE, "metrics", position)
            if position in twice:
                yield self._loaded.problem(place, f"metric {name!r} is repeated", "each metric once")
            elif name not in self._exposed:
                yield self._unknown("metric", name, list(self._exposed), place)
            elif users := self._readers.of(name):
                accepted = f"metrics that no rule and no panel reads: {listed_names(self._readers.unread)}"
                yield self._loaded.problem(place, f"{name} cannot be dropped: {_reads(users)} it", accepted)
        for name, labels in self._drops.labels.items():
            place = (*_HERE, "labels", name)
            if name not in self._exposed:
                yield self._unknown("metric", name, list(self._exposed), place, key=True)
            elif name in self._drops.metrics:
                message = f"{name} is dropped, so it has no labels"
                yield self._loaded.problem(place, message, "either the metric or labels of it", key=True)
            else:
                for position, label in enumerate(labels):
                    yield from self._label(name, label, (*place, position), label in labels[:position])

    def _label(self, name: str, label: str, place: KeyPath, twice: bool) -> Iterator[Problem]:
        known = list(dict.fromkeys(label for metric in self._exposed[name] for label in metric.labels))
        if twice:
            yield self._loaded.problem(place, f"label {label!r} is repeated", "each label once")
        elif label not in known:
            yield self._unknown("label", label, known, place, f" of {name}")
        elif users := self._readers.of_label(name, label):
            message = f"{name} cannot lose {label!r}: {_reads(users, 'need')} it"
            yield self._loaded.problem(place, message, "labels that no rule and no panel needs")
        else:
            for found, accepted in dict.fromkeys(self._values(name, label)):
                message = f"{name} cannot lose {label!r}: {found}, and two series could become one"
                yield self._loaded.problem(place, message, accepted)

    def _values(self, name: str, label: str) -> Iterator[tuple[str, str]]:
        """Why dropping a label could make two series one, and what is accepted."""
        catalog, one = self._loaded.catalog, "a label that has exactly one value"
        if name in METRICS_BY_NAME:  # whoever exposes it: names that nobody does are unknown
            where = "cardinality.policy, which drops it where it is counted"
            if label in CATALOG_LABELS:
                yield "calls of what the catalog does not know leave it empty", where
            elif (count := count_values(name, label, Estates(catalog).of(None))) != 1:
                yield f"it has {count} values", one
        counts = VendorCounts(catalog.model_copy(update={"cardinality": self._whole}))
        for part in counts.parts.get(name, ()):
            values = counts.values(part, label)
            if values is None and isinstance(part.source.binding.label_values.get(label), str):
                yield "calls can have values that the catalog does not know", one
            elif values is None:
                stated = f"cardinality.label_values.{label}: 1, if it has one value"
                yield "the catalog does not say how many values it has", stated
            elif values != 1:
                yield f"it has {values} values", one

    @property
    def _whole(self) -> object:
        return self._loaded.catalog.cardinality.model_copy(update={"drop": Drops()})

    def _unknown(
        self, kind: str, name: str, known: list[str], place: KeyPath, where: str = "", *, key: bool = False
    ) -> Problem:
        at = self._loaded.document.locate(place, key=key)
        return unknown_name(kind, name, known, at, where or " of the scraped targets")


def _reads(users: tuple[str, ...], verb: str = "read") -> str:
    return f"{listed_names(users)} {verb}{'s' * (len(users) == 1)}"
