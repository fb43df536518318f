"""What can go wrong: the registry of faults, one file of this folder each. To add one, see docs/adding-a-fault.md."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from tiercli.faults.kinds.interface import FaultKind

FAULTS: tuple[FaultKind[Any], ...] = tuple(
    value
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__))
    if module != "check"  # which reads the registry
    for value in vars(import_module(f"{__name__}.{module}")).values()
    if isinstance(value, FaultKind)
)
FAULTS_BY_NAME: dict[str, FaultKind[Any]] = {kind.name: kind for kind in FAULTS}

__all__ = ["FAULTS", "FAULTS_BY_NAME"]
