"""Whether a fault, as a drill or a caller of the proxy wrote it, is one: its name, its target's labels, its settings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from tiercli.errors import InvalidInput, Location, Problem
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.interface import FaultKind, FaultSettings


def check_fault(
    fault: str,
    target: Mapping[str, str],
    settings: Mapping[str, Any],
    location: Location = Location("fault"),  # noqa: B008 - frozen
) -> tuple[FaultKind[Any], FaultSettings]:
    """The registered fault of that name and its settings, checked. Whether the target exists is for its injector to say.

    Raises InvalidInput with every problem, at `location`."""
    kind = FAULTS_BY_NAME.get(fault)
    if kind is None:
        near = difflib.get_close_matches(fault, FAULTS_BY_NAME, 1)
        problem = Problem(location, f"unknown fault {fault!r}", ", ".join(FAULTS_BY_NAME), near[0] if near else "")
        raise InvalidInput(f"unknown fault {fault!r}", [problem])
    problems = [
        Problem(location, f"{fault}: target has no label {label!r}", ", ".join(kind.target_labels) or "no target")
        for label in target
        if label not in kind.target_labels
    ]
    problems += [Problem(location, f"{fault}: {reason}") for reason in kind.check_settings(settings)]
    if problems:
        raise InvalidInput(f"the fault {fault!r} is not right", problems)
    return kind, kind.settings.model_validate(dict(settings))
