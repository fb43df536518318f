"""GPUs. `instance` is the exporter's scrape target, `gpu` the card's number or id there."""

from __future__ import annotations

from typing import Final

from tiercli.signals.recorded_series import Recorded

_K: Final = "gpus"
_G = ("instance", "gpu")

SERIES: tuple[Recorded, ...] = (
    Recorded("tier:gpu:utilization:ratio", _G, "Share of time in which the GPU was busy.", "percentunit", _K),
    Recorded("tier:gpu:memory_used:bytes", _G, "Memory in use.", "bytes", _K),
    Recorded("tier:gpu:memory_total:bytes", _G, "Memory there is.", "bytes", _K),
    Recorded("tier:gpu:power:watts", _G, "Power drawn.", "watt", _K),
    Recorded("tier:gpu:temperature:celsius", _G, "Temperature of the GPU.", "celsius", _K),
    Recorded("tier:gpu:utilization:mean10m", _G, "The same, mean of 10 minutes.", "percentunit"),
    Recorded("tier:gpu:utilization:threshold", _G, "Above this GpuUtilizationHigh is pending.", "percentunit"),
    Recorded("tier:gpu:memory:ratio", _G, "Share of memory in use.", "percentunit"),
)
