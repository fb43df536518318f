"""What a recorded series is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What has to be bound for a primitive series to be there: the gateway (or a cloud console in its place), the local
# inference servers, GPUs.
SourceKind = Literal["gateway", "servers", "gpus"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded series; all are gauges. `unit` is a Grafana unit id, so that panels agree. `bound_to`: the kind of
    source whose binding yields it; None for what is derived or constant, the same for every source. `rare`: it counts
    something that may never happen, so its absence says nothing."""

    name: str
    labels: tuple[str, ...]
    help: str
    unit: str = "short"
    bound_to: SourceKind | None = None
    rare: bool = False

    @property
    def primitive(self) -> bool:
        """Whether it comes from a source binding."""
        return self.bound_to is not None


OFFER = ("provider", "model", "region")
