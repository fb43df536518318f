"""gateway-down: the gateway's process is stopped, and started again when the fault ends."""

from __future__ import annotations

from tiercli.faults.interface import FaultKind, Settings


class GatewayDownSettings(Settings):
    """None."""


GATEWAY_DOWN = FaultKind(
    "gateway-down", "the gateway's process is stopped", injector="process", settings=GatewayDownSettings
)
