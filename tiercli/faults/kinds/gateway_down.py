"""The gateway itself is gone. Injected by stopping its process, by whoever supervises it: there is no code here."""

from __future__ import annotations

from tiercli.faults.kinds.interface import FaultKind, FaultSettings


class GatewayDownSettings(FaultSettings):
    """There is nothing to set: every instance is stopped, and started again when the fault is cleared."""


GATEWAY_DOWN = FaultKind(
    name="gateway-down",
    summary="every instance of the gateway is stopped",
    injector="process",
    target_labels=(),
    settings=GatewayDownSettings,
)
