"""A tenant's program loops: the same calls again and again, each with a price. Brought about by load."""

from __future__ import annotations

from tiercli.faults.kinds.interface import CALL_LABELS, FaultKind
from tiercli.faults.kinds.surge import SurgeSettings

COST_RUNAWAY = FaultKind(
    name="cost-runaway",
    summary="a tenant loops, and spends many times what it did",
    injector="load",
    target_labels=CALL_LABELS,
    settings=SurgeSettings,
)
