"""Calls to the local tier become more and more, and wait. Brought about by load."""

from __future__ import annotations

from tiercli.faults.kinds.interface import CALL_LABELS, FaultKind
from tiercli.faults.kinds.surge import SurgeSettings

QUEUE_BUILD_UP = FaultKind(
    name="queue-build-up",
    summary="more and more calls wait at the local servers",
    injector="load",
    target_labels=CALL_LABELS,
    settings=SurgeSettings,
)
