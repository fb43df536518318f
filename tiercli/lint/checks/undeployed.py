"""alert/undeployed: a candidate of an alias that the gateway has no deployment of, so that its failures alarm nobody."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.lint.interface import Check, Found, Severity
from tiercli.lint.linted import Linted


def _look(linted: Linted) -> Iterator[Found]:
    for place, offer in linted.undeployed:
        yield (
            place,
            offer,
            "gateway.deployments names no id of it, so its attempts belong to no provider and no alarm sees them",
        )


CHECK = Check(
    "alert/undeployed",
    Severity.WARNING,
    "name it in gateway.deployments, by the id that the gateway reports",
    _look,
)
