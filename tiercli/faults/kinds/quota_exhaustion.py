"""A tenant sends as much as its quota allows, or more. Caused by load."""

from __future__ import annotations

from tiercli.faults.kinds.surge import surge_fault

QUOTA_EXHAUSTION = surge_fault("quota-exhaustion", "a tenant sends as much as its quota allows, or more")
