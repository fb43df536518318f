"""Whether a fault, as a drill or a caller of the proxy wrote it, is one: its name, its target's labels, its settings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tiercli.errors import InvalidInput, Location, Problem
from tiercli.faults import FAULTS
from tiercli.faults.interface import FaultKind, FaultSettings


def check_fault(
    fault: str,
    target: Mapping[str, str],
    settings: Mapping[str, Any],
    location: Location = Location("fault"),  # noqa: B008 - frozen
) -> tuple[FaultKind[Any], FaultSettings]:
    """The registered fault of that name and its settings, checked. Whether the target exists is for its injector to say.

    Raises InvalidInput with every problem, at `location`."""
    kind = next((kind for kind in FAULTS if kind.name == fault), None)
    if kind is None:
        names = [kind.name for kind in FAULTS]
        near = difflib.get_close_matches(fault, names, 1)
        problem = Problem(location, f"unknown fault {fault!r}", ", ".join(names), near[0] if near else "")
        raise InvalidInput(f"unknown fault {fault!r}", [problem])
    problems = [
        Problem(location, f"{fault}: target has no label {label!r}", ", ".join(kind.target_labels) or "no target")
        for label in target
        if label not in kind.target_labels
    ]
    checked = None
    try:
        checked = kind.settings.model_validate(dict(settings))
    except ValidationError as error:
        accepted = ", ".join(kind.settings.model_fields) or "no settings"
        problems += [Problem(location, _said(fault, item), accepted) for item in error.errors()]
    if problems or checked is None:
        raise InvalidInput(f"the fault {fault!r} is not right", problems)
    return kind, checked


def _said(fault: str, item: Mapping[str, Any]) -> str:
    place = ".".join([fault, *map(str, item["loc"])])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"{place}: unknown setting"
    found = f" (found {item['input']!r})" if item["loc"] and item["type"] != "missing" else ""
    return f"{place}: {message}{found}"
