"""What a drill sets in the simulated gateway, because no network and no load brings it about: records that are lost, scores of
evals, prices. Each condition is leased, and ends by itself when it is not renewed."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from tiercli.errors import InvalidInput
from tiercli.faults.kinds.check import check_fault

LONGEST_LEASE_S = 60.0


@dataclass(frozen=True, slots=True)
class Condition:
    """A fault that is on, until `until` on the clock."""

    fault: str
    target: Mapping[str, str]
    settings: Any
    until: float


class Conditions:
    """Those of one instance. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._set: dict[str, Condition] = {}
        self._random = random.Random(1)  # noqa: S311 - a simulation

    def put(self, name: str, condition: Condition) -> None:
        """Set a condition."""
        self._set[name] = condition

    def renew(self, name: str, lease_s: float) -> bool:
        """Begin the lease of a condition anew; False where it is over."""
        condition, now = self._set.get(name), self._clock()
        if condition is None or condition.until <= now:
            return False
        self._set[name] = replace(condition, until=now + lease_s)
        return True

    def clear(self, name: str) -> None:
        """End a condition; one that is over already is as good."""
        self._set.pop(name, None)

    def of(self, fault: str) -> list[Condition]:
        """The conditions of a fault that are on."""
        if not self._set:
            return []
        now = self._clock()
        for name in [name for name, one in self._set.items() if one.until <= now]:
            del self._set[name]
        return [one for one in self._set.values() if one.fault == fault]

    def lose_record(self) -> bool:
        """Whether this audit record is lost."""
        if not self._set:
            return False
        if self.of("audit-silence"):
            return True
        share: float = max((one.settings.share for one in self.of("audit-loss")), default=0.0)
        return self._random.random() < share

    def eval_score(self, alias: str, usual: float) -> float:
        """The score of an alias's evals."""
        set_to = [one.settings.score for one in self.of("eval-drift") if one.target.get("alias", alias) == alias]
        return float(set_to[-1]) if set_to else usual

    def price_factor(self, provider: str) -> float:
        """How many times its price a call to a provider costs."""
        factors: list[float] = [
            one.settings.factor for one in self.of("price-change") if one.target.get("provider", provider) == provider
        ]
        return math.prod(factors)

    def routes(self) -> list[web.AbstractRouteDef]:
        """PUT /simulation/conditions/NAME sets one (fault, target, settings, lease_s), POST (lease_s) renews it and answers 404
        where it is over, DELETE ends it."""
        place = "/simulation/conditions/{name}"
        return [web.put(place, self._put), web.post(place, self._renew), web.delete(place, self._delete)]

    async def _put(self, request: web.Request) -> web.Response:
        try:
            asked = await request.json()
            lease_s = _lease_s(asked)
            _, settings = check_fault(asked["fault"], asked["target"], asked["settings"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return web.json_response({"error": f"not a condition: {error!r}"}, status=422)
        except InvalidInput as error:
            return web.json_response({"error": error.message}, status=422)
        until = self._clock() + lease_s
        self.put(request.match_info["name"], Condition(asked["fault"], asked["target"], settings, until))
        return web.Response(status=204)

    async def _renew(self, request: web.Request) -> web.Response:
        try:
            lease_s = _lease_s(await request.json())
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"not a lease: {error!r}"}, status=422)
        return web.Response(status=204 if self.renew(request.match_info["name"], lease_s) else 404)

    async def _delete(self, request: web.Request) -> web.Response:
        self.clear(request.match_info["name"])
        return web.Response(status=204)


def _lease_s(asked: Any) -> float:
    lease_s = float(asked["lease_s"])
    if not 0 < lease_s <= LONGEST_LEASE_S:
        raise ValueError(f"lease_s is not within 0 and {LONGEST_LEASE_S:g}")
    return lease_s
