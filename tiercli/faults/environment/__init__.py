"""What brings faults about in a real environment: the fault proxy, Toxiproxy, and an operator's own commands and hooks."""

from __future__ import annotations

from tiercli.faults.environment.live import Applied, LiveInjectors, Use

__all__ = ["Applied", "LiveInjectors", "Use"]
