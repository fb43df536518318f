"""Some calls are not recorded: a queue that drops, one replica's collector that is gone."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import FaultKind, FaultSettings


class AuditLossSettings(FaultSettings):
    """`share` of the records, 0 to 1, are lost between the gateway and its log."""

    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.05


AUDIT_LOSS = FaultKind(
    name="audit-loss",
    summary="a share of the audit records does not reach the log",
    injector="gateway",
    target_labels=(),
    settings=AuditLossSettings,
)
