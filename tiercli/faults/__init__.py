"""What can go wrong, one file a fault. To add one: its file, one line here (docs/adding-a-fault.md)."""

from __future__ import annotations

from tiercli.faults.errors import ERRORS
from tiercli.faults.gateway_down import GATEWAY_DOWN
from tiercli.faults.interface import FaultKind
from tiercli.faults.latency import LATENCY
from tiercli.faults.outage import OUTAGE

__all__ = ["FAULTS", "FAULTS_BY_NAME"]

FAULTS: tuple[FaultKind, ...] = (ERRORS, GATEWAY_DOWN, LATENCY, OUTAGE)
FAULTS_BY_NAME = {kind.name: kind for kind in FAULTS}
