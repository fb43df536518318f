"""Overrides of alarms: for whom they are, and that no two of them want different things of the same one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from tiercli.catalog.model import AlarmSettings, Offer, Override
from tiercli.catalog.names import unknown_name
from tiercli.catalog.view import CatalogView
from tiercli.errors import Problem


def check_overrides(view: CatalogView) -> Iterator[Problem]:
    """Problems of what a catalog sets for some only, alarm by alarm."""
    for alarm, settings in view.catalog.alarms.items():
        yield from _of_alarm(view, alarm, settings)


def _of_alarm(view: CatalogView, alarm: str, settings: AlarmSettings) -> Iterator[Problem]:
    offers = _Offers(view.catalog.offers())
    before = _Earlier()
    for position, override in enumerate(settings.overrides):
        path = ("alarms", alarm, "overrides", position)
        wanted = override.labels()
        if not wanted:
            said = f"an override of {alarm} that says not for what"
            yield Problem(view.at(*path), said, "provider, region, model, alias or tenant, or several")
            continue
        if not _settings(override):
            said = f"an override of {alarm} that changes nothing"
            yield Problem(view.at(*path), said, "thresholds, severity, owner or for")
        where = f" in an override of {alarm}"
        if override.owner is not None:
            yield from view.reference("owners", "owner", override.owner, (*path, "owner"), where)
        unknown = list(_unknown_labels(view, wanted, path, where))
        yield from unknown
        of_offer = _of_offer(wanted)
        matching = offers.matching(of_offer)
        if not matching and not unknown and view.all_providers_sound and view.catalog.providers:
            text = " and ".join(f"{key} {value!r}" for key, value in of_offer.items())
            said = f"an override of {alarm} for nothing: no model is offered with {text}"
            yield Problem(view.at(*path), said, "what the catalog's providers offer")
        for earlier in before.add(override):
            yield from _ambiguous(view, alarm, path, override, earlier, matching)


class _Offers:
    """The offers that labels match. Many overrides are about tenants, and so ask for the same ones."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._all = [(offer, offer._asdict()) for offer in offers]
        self._known: dict[tuple[tuple[str, str], ...], list[Offer]] = {}

    def matching(self, wanted: Mapping[str, str]) -> list[Offer]:
        key = tuple(wanted.items())
        if key not in self._known:
            self._known[key] = [offer for offer, labels in self._all if _covers(wanted, labels)]
        return self._known[key]


class _Earlier:
    """Overrides seen so far, found by what they say of the labels that they share with another: without comparing each with
    each."""

    def __init__(self) -> None:
        self._of_labels: dict[frozenset[str], dict[frozenset[tuple[str, str]], list[tuple[int, Override]]]] = {}
        self._count = 0

    def add(self, override: Override) -> list[Override]:
        """Take `override` in; the earlier ones, in their order, that name as many labels and contradict it in none."""
        said = override.labels().items()
        names = frozenset(override.labels())
        found: list[tuple[int, Override]] = []
        for other, known in self._of_labels.items():
            if len(other) == len(names):
                found += known.get(frozenset(one for one in said if one[0] in other), ())
        known = self._of_labels.setdefault(names, {})
        for size in range(len(said) + 1):
            for part in combinations(said, size):
                known.setdefault(frozenset(part), []).append((self._count, override))
        self._count += 1
        return [one for _, one in sorted(found, key=lambda entry: entry[0])]


def _ambiguous(
    view: CatalogView,
    alarm: str,
    path: tuple[str | int, ...],
    override: Override,
    earlier: Override,
    matching: list[Offer],
) -> Iterator[Problem]:
    """Where two overrides, of as many labels that do not contradict each other, are for the same one, nobody could say
    which holds."""
    shared = sorted(_settings(override) & _settings(earlier))
    if not shared:
        return
    wanted, theirs = override.labels(), earlier.labels()
    both = [offer for offer in matching if _covers(_of_offer(theirs), offer._asdict())]
    if both:
        whom = dict.fromkeys({**both[0]._asdict(), **theirs, **wanted}.values())
        said = f"{' '.join(whom)} has two equally specific overrides of {shared[0]} of {alarm}"
        yield Problem(view.at(*path), said, "one of them with more of provider, region, model, alias and tenant")


def _settings(override: Override) -> set[str]:
    said = {name for name in ("severity", "owner", "for_") if getattr(override, name) is not None}
    return {name.rstrip("_") for name in said} | set(override.thresholds)


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
    elif not view.all_providers_sound or not view.catalog.providers:
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
