"""A tenant sends as much as its quota allows, or more. Brought about by load."""

from __future__ import annotations

from tiercli.faults.kinds.interface import CALL_LABELS, FaultKind
from tiercli.faults.kinds.surge import SurgeSettings

QUOTA_EXHAUSTION = FaultKind(
    name="quota-exhaustion",
    summary="a tenant sends as much as its quota allows, or more",
    injector="load",
    target_labels=CALL_LABELS,
    settings=SurgeSettings,
)
