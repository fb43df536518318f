"""What a drill sets in the simulated gateway, because no network and no load brings it about: records that are lost, scores of
evals, prices. They are faults under leases, as those of the fault proxy."""

from __future__ import annotations

import math
import random
from typing import Any

from aiohttp import web

from tiercli.errors import InvalidInput
from tiercli.faults.kinds.check import check_fault
from tiercli.faults.proxy.control_api import ControlApi, FaultRequest
from tiercli.faults.proxy.leases import Lease, Leases

CONTROL_PATH = "/simulation"  # where an instance has its control API


class Conditions:
    """The conditions of one instance."""

    def __init__(self) -> None:
        self.leases: Leases[Lease] = Leases()
        self._random = random.Random(1)  # noqa: S311 - a simulation

    def control_application(self) -> web.Application:
        """The control API. It has no token: the instance listens on loopback, and ends with the sandbox."""
        return ControlApi(self.leases, make_condition).application()

    def lose_record(self) -> bool:
        """Whether this audit record is lost."""
        if self._active("audit-silence"):
            return True
        share: float = max((lease.settings.share for lease in self._active("audit-loss")), default=0.0)
        return self._random.random() < share

    def eval_score(self, alias: str, usual: float) -> float:
        """The score of an alias's evals."""
        scores = [lease.settings.score for lease in self._active("eval-drift") if _hits(lease, "alias", alias)]
        return float(scores[-1]) if scores else usual

    def price_factor(self, provider: str) -> float:
        """How many times its price a call to a provider costs."""
        active = self._active("price-change")
        return math.prod(float(lease.settings.factor) for lease in active if _hits(lease, "provider", provider))

    def _active(self, fault: str) -> list[Any]:
        return [lease for lease in self.leases.active() if lease.kind.name == fault]


def make_condition(name: str, request: FaultRequest) -> Lease:
    """The condition that `request` asks for. Raises InvalidInput if there is no such fault or setting."""
    kind, settings = check_fault(request.fault, request.target, request.settings)
    if kind.injector != "gateway":
        raise InvalidInput(f"{request.fault} is injected by the {kind.injector}, not by the gateway")
    return Lease(id=name, kind=kind, target=request.target, settings=settings, lease_s=request.lease_s)


def _hits(lease: Lease, label: str, value: str) -> bool:
    return lease.target.get(label, value) == value
