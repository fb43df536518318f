"""Some of the gateway's instances are gone, and the others serve. Injected by whoever supervises their processes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tiercli.faults.kinds.interface import FaultKind, FaultSettings


class ReplicaDownSettings(FaultSettings):
    """`instances`: how many are stopped, and started again when the fault is cleared: the last ones, or with `first` the first
    ones."""

    instances: Annotated[int, Field(ge=1, le=1000)] = 1
    first: bool = False


REPLICA_DOWN = FaultKind(
    name="replica-down",
    summary="some instances of the gateway are stopped",
    injector="process",
    target_labels=(),
    settings=ReplicaDownSettings,
)
