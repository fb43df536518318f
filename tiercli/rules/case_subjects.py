"""The labels in an alarm's unit tests: real names of the catalog, or invented ones where it has too few."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tiercli.catalog.model import Catalog, Offer, Override
from tiercli.conventions import SERVERS_JOB
from tiercli.rules.thresholds import covers, overrides_of
from tiercli.signals.label_policy import metric_policies

Labels = dict[str, str]

_OTHER = Offer("another-provider", "another-model", "another-region")
_INVENTED = Offer("invented-provider", "invented-model", "invented-region")
# How many names of a kind are tried to find one without an override.
_TRIED = 20


@dataclass(frozen=True, slots=True)
class Subjects:
    """The label sets of unit tests: `subject`, that of the alert under test; `other`, a different one; `cloud`, one of the cloud
    tier. Each has every label that an alarm can have."""

    subject: Labels
    other: Labels
    cloud: Labels

    @staticmethod
    def of(catalog: Catalog, alarm: str, *, overridden: bool = False) -> Subjects:
        """Subjects that no override of `alarm` covers; with `overridden`, subjects that one covers."""
        overrides = overrides_of(catalog, alarm)

        def first(fits: Callable[[Labels], bool]) -> Labels:
            candidates = _candidates(catalog, overrides if overridden else ())
            wanted = (labels for labels in candidates if any(covers(each, labels) for each in overrides) == overridden)
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
    """Possible subjects, the likely ones first; with `overrides`, those that they cover."""
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
    """The tenants as labels: with grouping, those that keep their name, and the name of the group."""
    grouped = {policy.recorded for policy in metric_policies(catalog).values() if policy.recorded is not None}
    if not grouped:
        return catalog.tenants
    kept = [name for name in catalog.tenants if all(name in groups.kept for groups in grouped)]
    return [*kept, *sorted({groups.rest for groups in grouped})]


def _some(names: Iterable[str], invented: str) -> list[str]:
    return [*islice(names, _TRIED), invented]


def _is_cloud(catalog: Catalog, labels: Labels) -> bool:
    provider = catalog.providers.get(labels["provider"])
    return provider is not None and provider.tier == "cloud"


def _other(catalog: Catalog, subject: Labels) -> Labels:
    place = (subject["provider"], subject["region"])
    offer = next((offer for offer in catalog.offers() if (offer.provider, offer.region) != place), _OTHER)
    names = {
        "alias": next((name for name in catalog.aliases if name != subject["alias"]), "another-alias"),
        "tenant": next((name for name in _tenants(catalog) if name != subject["tenant"]), "another-tenant"),
    }
    return {**_whole(offer, 1), **names}


def _whole(offer: Offer, number: int) -> Labels:
    """Every label that an alarm can have; names that no catalog declares are numbered."""
    return {
        **offer._asdict(),
        "alias": f"alias-{number}",
        "tenant": f"tenant-{number}",
        "server": f"server-{number}",
        "job": SERVERS_JOB,
        "target": f"server-{number}",
        "instance": f"gpu-host-{number}.internal:9400",
        "gpu": str(number),
        "subject": f"subject-{number}",
        "signal": "latency p95",
    }
