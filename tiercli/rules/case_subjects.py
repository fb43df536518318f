"""Whom an alarm's unit tests are about: real names of the catalog where it has them, invented ones where it has too few."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tiercli.catalog.model import Catalog, Offer, Override
from tiercli.rules.thresholds import covers, overrides_of
from tiercli.signals.label_policy import metric_policies

Labels = dict[str, str]

_OTHER = Offer("another-provider", "another-model", "another-region")
_INVENTED = Offer("invented-provider", "invented-model", "invented-region")
# How many names of a kind are tried to find one that no override is for.
_TRIED = 20


@dataclass(frozen=True, slots=True)
class Subjects:
    """`subject` is whom the cases are about, `other` one beside it, `cloud` one of the cloud tier, each with every label
    that an alarm can tell them apart by."""

    subject: Labels
    other: Labels
    cloud: Labels

    @staticmethod
    def of(catalog: Catalog, alarm: str, *, overridden: bool = False) -> Subjects:
        """Those for whom no override of `alarm` is; with `overridden`, those for whom one is."""
        overrides = overrides_of(catalog, alarm)

        def first(fits: Callable[[Labels], bool]) -> Labels:
            candidates = _candidates(catalog, overrides if overridden else ())
            wanted = (one for one in candidates if any(covers(each, one) for each in overrides) == overridden)
            return next(filter(fits, wanted), _whole(_INVENTED, 0))

        subject = first(lambda labels: True)
        cloud = first(lambda labels: _is_cloud(catalog, labels))
        return Subjects(subject, _other(catalog, subject), cloud)

    def label_sets(self) -> dict[str, Labels]:
        """Labels by the name that templates use: provider, model and region; with _region appended without the model;
        who and someone_else with everything."""
        sets: dict[str, Labels] = {"who": self.subject, "someone_else": self.other}
        for name, labels in (
            ("subject", self.subject),
            ("other", self.other),
            ("cloud", self.cloud),
            ("invented", _whole(_INVENTED, 0)),
        ):
            sets[name] = {label: labels[label] for label in Offer._fields}
            sets[f"{name}_region"] = {label: labels[label] for label in ("provider", "region")}
        return sets


def _candidates(catalog: Catalog, overrides: Sequence[Override]) -> Iterator[Labels]:
    """Whom a case could be about, likely ones first; with `overrides`, those whom they are for."""
    offers = list(catalog.offers()) or [_INVENTED]
    names = (_some(catalog.aliases, "an-alias"), _some(_tenants(catalog), "a-tenant"))
    for override in overrides:
        for offer in (*offers, _INVENTED):
            yield {**_whole(offer, 0), "alias": names[0][0], "tenant": names[1][0], **override.labels()}
    for alias in names[0]:
        for tenant in names[1]:
            for offer in (*offers, _INVENTED):
                yield {**_whole(offer, 0), "alias": alias, "tenant": tenant}


def _tenants(catalog: Catalog) -> Iterable[str]:
    """The tenants as metrics name them: where some are grouped, those that keep their name, and what the others become."""
    grouped = {policy.recorded for policy in metric_policies(catalog).values() if policy.recorded is not None}
    if not grouped:
        return catalog.tenants
    kept = [name for name in catalog.tenants if all(name in one.kept for one in grouped)]
    return [*kept, *sorted({one.rest for one in grouped})]


def _some(names: Iterable[str], invented: str) -> list[str]:
    return [*islice(names, _TRIED), invented]


def _is_cloud(catalog: Catalog, labels: Labels) -> bool:
    provider = catalog.providers.get(labels["provider"])
    return provider is not None and provider.tier == "cloud"


def _other(catalog: Catalog, subject: Labels) -> Labels:
    place = (subject["provider"], subject["region"])
    offer = next((one for one in catalog.offers() if (one.provider, one.region) != place), _OTHER)
    names = {
        "alias": next((name for name in catalog.aliases if name != subject["alias"]), "another-alias"),
        "tenant": next((name for name in _tenants(catalog) if name != subject["tenant"]), "another-tenant"),
    }
    return {**_whole(offer, 1), **names}


def _whole(offer: Offer, number: int) -> Labels:
    """Every label that an alarm can be about; those that no catalog names are numbered."""
    return {
        **offer._asdict(),
        "alias": f"alias-{number}",
        "tenant": f"tenant-{number}",
        "server": f"server-{number}",
        "instance": f"gpu-host-{number}.internal:9400",
        "gpu": str(number),
        "subject": f"subject-{number}",
        "signal": "latency p95",
    }
