"""Whom an alarm's unit tests are about: real names of the catalog where it has them, invented ones where it has too few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiercli.catalog.model import AlarmSettings, Catalog, Offer
from tiercli.rules.thresholds import override_labels

_OTHER = Offer("another-provider", "another-model", "another-region")
_INVENTED = Offer("invented-provider", "invented-model", "invented-region")


@dataclass(frozen=True, slots=True)
class Subjects:
    """`subject` is what the cases are about, `other` a provider or region beside it, `cloud` one of the cloud tier."""

    subject: Offer
    other: Offer
    cloud: Offer

    @staticmethod
    def of(catalog: Catalog, alarm: str, *, overridden: bool = False) -> Subjects:
        """Offers that no override of `alarm` covers; with `overridden`, those that one covers."""
        offers = list(catalog.offers())
        wanted = [one for one in offers if _is_overridden(catalog, alarm, one) == overridden]
        first = wanted[0] if wanted else _INVENTED
        other = next((one for one in offers if (one.provider, one.region) != (first.provider, first.region)), _OTHER)
        cloud = next((one for one in wanted if catalog.providers[one.provider].tier == "cloud"), _INVENTED)
        return Subjects(first, other, cloud)

    def label_sets(self) -> dict[str, dict[str, str]]:
        """Labels by the name that templates use; with _region appended without the model."""
        sets: dict[str, dict[str, str]] = {}
        for name, offer in (
            ("subject", self.subject),
            ("other", self.other),
            ("cloud", self.cloud),
            ("invented", _INVENTED),
        ):
            sets[name] = offer._asdict()
            sets[f"{name}_region"] = {"provider": offer.provider, "region": offer.region}
        return sets


def _is_overridden(catalog: Catalog, alarm: str, offer: Offer) -> bool:
    labels: Mapping[str, str] = offer._asdict()
    return any(
        all(labels[label] == value for label, value in override_labels(override).items())
        for override in catalog.alarms.get(alarm, AlarmSettings()).overrides
    )
