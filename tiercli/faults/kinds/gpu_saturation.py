"""The local tier gets as many calls as its GPUs can carry, or more. Caused by load."""

from __future__ import annotations

from tiercli.faults.kinds.surge import surge_fault

GPU_SATURATION = surge_fault("gpu-saturation", "more calls than the local servers' GPUs can carry")
