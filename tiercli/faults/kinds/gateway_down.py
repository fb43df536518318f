"""The gateway itself is gone: the supervisor of its processes stops every instance, and starts it again when the fault is off."""

from __future__ import annotations

from tiercli.faults.kinds.interface import FaultKind, FaultSettings

GATEWAY_DOWN = FaultKind(
    name="gateway-down",
    summary="every instance of the gateway is stopped",
    injector="process",
    target_labels=(),
    settings=FaultSettings,
)
