"""Whether a drill can use the faults of a catalog's commands and hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tiercli.catalog.environment import OwnFault
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.names import unknown_name
from tiercli.catalog.tree import KeyPath
from tiercli.errors import Problem
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.check import Targets


def check_own_faults(loaded: LoadedCatalog) -> list[Problem]:
    """A problem for each command or hook whose fault is unknown, whose target no drill could name, or that is never used
    because an earlier one has the same fault and target."""
    problems: list[Problem] = []
    targets = Targets(loaded.catalog) if _is_whole(loaded) else None
    for name, environment in loaded.catalog.environments.items():
        seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        for kind in ("commands", "hooks"):
            declared: Sequence[OwnFault] = getattr(environment.injectors, kind)
            for number, own in enumerate(declared):
                path = ("environments", name, "injectors", kind, number)
                problems += _problems(loaded, own, path, targets)
                key = (own.fault, frozenset(own.target.items()))
                if key in seen:
                    message = f"{own.fault} on the same target twice in environment {name!r}: this one is never used"
                    problems.append(loaded.problem(path, message, "each fault and target once"))
                seen.add(key)
    return problems


def _problems(loaded: LoadedCatalog, own: OwnFault, path: KeyPath, targets: Targets | None) -> Iterator[Problem]:
    kind = FAULTS_BY_NAME.get(own.fault)
    if kind is None:
        yield unknown_name("fault", own.fault, FAULTS_BY_NAME, loaded.document.locate((*path, "fault")))
        return
    unknown = [label for label in own.target if label not in kind.target_labels]
    for label in unknown:
        accepted = ", ".join(kind.target_labels) or "no target"
        yield loaded.problem(
            (*path, "target", label), f"{own.fault}: target has no label {label!r}", accepted, key=True
        )
    if targets is not None and not unknown:
        yield from targets.problems(kind, own.target, lambda *label: loaded.document.locate((*path, "target", *label)))


def _is_whole(loaded: LoadedCatalog) -> bool:
    """Whether all that a target can name was read; else an unknown name may be one of those with mistakes."""
    for section in ("providers", "aliases", "tenants"):
        written = loaded.document.value.get(section) or {}
        if not isinstance(written, Mapping) or len(written) != len(getattr(loaded.catalog, section)):
            return False
    return True
