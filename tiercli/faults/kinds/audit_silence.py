"""No call is recorded any more, and the gateway does not notice: what takes its records has stopped taking them."""

from __future__ import annotations

from tiercli.faults.kinds.interface import FaultKind, FaultSettings


class AuditSilenceSettings(FaultSettings):
    """There is nothing to set: every record is lost between the gateway and its log."""


AUDIT_SILENCE = FaultKind(
    name="audit-silence",
    summary="no audit record reaches the log",
    injector="gateway",
    target_labels=(),
    settings=AuditSilenceSettings,
)
