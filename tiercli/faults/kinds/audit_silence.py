"""No call is recorded any more, and the gateway does not notice: every record is lost between the gateway and its log."""

from __future__ import annotations

from tiercli.faults.kinds.interface import FaultKind, FaultSettings

AUDIT_SILENCE = FaultKind(
    name="audit-silence",
    summary="no audit record reaches the log",
    injector="gateway",
    target_labels=(),
    settings=FaultSettings,
)
