"""A tenant's program loops: the same calls again and again, each with a price. Caused by load."""

from __future__ import annotations

from tiercli.faults.kinds.surge import surge_fault

COST_RUNAWAY = surge_fault("cost-runaway", "a tenant loops, and spends many times what it did")
