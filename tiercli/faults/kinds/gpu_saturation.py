"""The local tier is asked for as much as its GPUs can carry, or more. Brought about by load."""

from __future__ import annotations

from tiercli.faults.kinds.surge import surge_fault

GPU_SATURATION = surge_fault("gpu-saturation", "more calls than the local servers' GPUs can carry")
