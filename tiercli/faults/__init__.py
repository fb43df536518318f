"""What can go wrong: the registry of faults. One file a fault; to add one, see docs/adding-a-fault.md."""

from __future__ import annotations

from typing import Any

from tiercli.faults.errors import ERRORS
from tiercli.faults.gateway_down import GATEWAY_DOWN
from tiercli.faults.interface import FaultKind
from tiercli.faults.latency import LATENCY
from tiercli.faults.malformed import MALFORMED
from tiercli.faults.outage import OUTAGE
from tiercli.faults.wrong_region import WRONG_REGION

FAULTS: tuple[FaultKind[Any], ...] = (
    OUTAGE,
    LATENCY,
    ERRORS,
    MALFORMED,
    WRONG_REGION,
    GATEWAY_DOWN,
)
FAULTS_BY_NAME: dict[str, FaultKind[Any]] = {kind.name: kind for kind in FAULTS}

__all__ = ["FAULTS", "FAULTS_BY_NAME"]
