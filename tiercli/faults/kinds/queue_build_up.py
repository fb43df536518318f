"""Calls to the local tier become more and more, and wait. Caused by load."""

from __future__ import annotations

from tiercli.faults.kinds.surge import surge_fault

QUEUE_BUILD_UP = surge_fault("queue-build-up", "more and more calls wait at the local servers")
