"""Overrides of alarms: their labels must exist, and no two may set the same thing for the same alert."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from tiercli.catalog.model import AlarmSettings, Offer, Override
from tiercli.catalog.names import unknown_name
from tiercli.catalog.view import CatalogView
from tiercli.errors import Problem


def check_overrides(view: CatalogView) -> Iterator[Problem]:
    """Problems of the overrides, alarm by alarm."""
    for alarm, settings in view.catalog.alarms.items():
        yield from _of_alarm(view, alarm, settings)


def _of_alarm(view: CatalogView, alarm: str, settings: AlarmSettings) -> Iterator[Problem]:
    offers = _Offers(view.catalog.offers())
    before = _Earlier()
    for position, override in enumerate(settings.overrides):
        path = ("alarms", alarm, "overrides", position)
        wanted = override.labels()
        if not wanted:
            message = f"an override of {alarm} without labels"
            yield Problem(view.at(*path), message, "at least one of provider, region, model, alias, tenant")
            continue
        if not _settings(override):
            message = f"an override of {alarm} that changes nothing"
            yield Problem(view.at(*path), message, "thresholds, severity, owner or for")
        where = f" in an override of {alarm}"
        if override.owner is not None:
            yield from view.reference("owners", "owner", override.owner, (*path, "owner"), where)
        unknown = list(_unknown_labels(view, wanted, path, where))
        yield from unknown
        of_offer = _of_offer(wanted)
        matching = offers.matching(of_offer)
        if not matching and not unknown and view.all_providers_valid and view.catalog.providers:
            text = " and ".join(f"{key} {value!r}" for key, value in of_offer.items())
            message = f"an override of {alarm} that matches nothing: no model is offered with {text}"
            yield Problem(view.at(*path), message, "labels of models that the catalog's providers offer")
        for earlier in before.add(override):
            yield from _ambiguous(view, alarm, path, override, earlier, matching)


class _Offers:
    """The offers that labels match, cached: many overrides name the same ones."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._all = [(offer, offer._asdict()) for offer in offers]
        self._known: dict[tuple[tuple[str, str], ...], list[Offer]] = {}

    def matching(self, wanted: Mapping[str, str]) -> list[Offer]:
        key = tuple(wanted.items())
        if key not in self._known:
            self._known[key] = [offer for offer, labels in self._all if _covers(wanted, labels)]
        return self._known[key]


class _Earlier:
    """The overrides so far, indexed by labels, so that not every pair has to be compared."""

    def __init__(self) -> None:
        self._of_labels: dict[frozenset[str], dict[frozenset[tuple[str, str]], list[tuple[int, Override]]]] = {}
        self._count = 0

    def add(self, override: Override) -> list[Override]:
        """Add `override`; the earlier ones, in their order, that name as many labels and contradict none of its labels."""
        labels = override.labels().items()
        names = frozenset(override.labels())
        earlier: list[tuple[int, Override]] = []
        for other, known in self._of_labels.items():
            if len(other) == len(names):
                earlier += known.get(frozenset(label for label in labels if label[0] in other), ())
        known = self._of_labels.setdefault(names, {})
        for size in range(len(labels) + 1):
            for part in combinations(labels, size):
                known.setdefault(frozenset(part), []).append((self._count, override))
        self._count += 1
        return [other for _, other in sorted(earlier, key=lambda entry: entry[0])]


def _ambiguous(
    view: CatalogView,
    alarm: str,
    path: tuple[str | int, ...],
    override: Override,
    earlier: Override,
    matching: list[Offer],
) -> Iterator[Problem]:
    """Two overrides with as many labels that match the same offer: which one applies would be undefined."""
    shared = sorted(_settings(override) & _settings(earlier))
    if not shared:
        return
    wanted, theirs = override.labels(), earlier.labels()
    both = [offer for offer in matching if _covers(_of_offer(theirs), offer._asdict())]
    if both:
        whom = dict.fromkeys({**both[0]._asdict(), **theirs, **wanted}.values())
        message = f"{' '.join(whom)} has two equally specific overrides of {shared[0]} of {alarm}"
        yield Problem(view.at(*path), message, "more labels (provider, region, model, alias, tenant) in one of them")


def _settings(override: Override) -> set[str]:
    settings = {name for name in ("severity", "owner", "for_") if getattr(override, name) is not None}
    return {name.rstrip("_") for name in settings} | set(override.thresholds)


def _unknown_labels(
    view: CatalogView, wanted: Mapping[str, str], path: tuple[str | int, ...], where: str
) -> Iterator[Problem]:
    for section, kind in (("aliases", "alias"), ("tenants", "tenant")):
        if kind in wanted:
            yield from view.reference(section, kind, wanted[kind], (*path, kind), where)
    if "provider" in wanted:
        name = wanted["provider"]
        yield from view.reference("providers", "provider", name, (*path, "provider"), where)
        if name not in view.catalog.providers:
            return
    elif not view.all_providers_valid or not view.catalog.providers:
        return
    providers = [provider for name, provider in view.catalog.providers.items() if wanted.get("provider", name) == name]
    of = f" of provider {wanted['provider']!r}{where}" if "provider" in wanted else where
    for key, kind in (("regions", "region"), ("models", "model")):
        known = dict.fromkeys(name for provider in providers for name in getattr(provider, key))
        if kind in wanted and wanted[kind] not in known:
            yield unknown_name(kind, wanted[kind], known, view.at(*path, kind), of)


def _of_offer(labels: Mapping[str, str]) -> dict[str, str]:
    return {label: value for label, value in labels.items() if label in Offer._fields}


def _covers(wanted: Mapping[str, str], offer: Mapping[str, str]) -> bool:
    return all(offer[key] == value for key, value in wanted.items())
