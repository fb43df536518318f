"""The local tier is asked for as much as its GPUs can carry, or more. Brought about by load."""

from __future__ import annotations

from tiercli.faults.kinds.interface import CALL_LABELS, FaultKind
from tiercli.faults.kinds.surge import SurgeSettings

GPU_SATURATION = FaultKind(
    name="gpu-saturation",
    summary="more calls than the local servers' GPUs can carry",
    injector="load",
    target_labels=CALL_LABELS,
    settings=SurgeSettings,
)
