"""Whether the faults that a catalog's commands and hooks bring about are ones that a drill could want."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tiercli.catalog.environment import OwnFault
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.names import unknown_name
from tiercli.catalog.tree import KeyPath
from tiercli.errors import Problem
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.targets import Targets


def check_own_faults(loaded: LoadedCatalog) -> list[Problem]:
    """A problem for each command or hook whose fault is unknown, whose target no drill could name, or that is never used
    because another is for the same."""
    problems: list[Problem] = []
    targets = Targets(loaded.catalog) if _is_whole(loaded) else None
    for name, environment in loaded.catalog.environments.items():
        seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        for kind in ("commands", "hooks"):
            declared: Sequence[OwnFault] = getattr(environment.injectors, kind)
            for at, own in enumerate(declared):
                path = ("environments", name, "injectors", kind, at)
                problems += _problems(loaded, own, path, targets)
                key = (own.fault, frozenset(own.target.items()))
                if key in seen:
                    said = f"{own.fault} on the same target twice in environment {name!r}: this one would never be used"
                    problems.append(loaded.problem(path, said, "each fault and target once"))
                seen.add(key)
    return problems


def _problems(loaded: LoadedCatalog, own: OwnFault, path: KeyPath, targets: Targets | None) -> Iterator[Problem]:
    kind = FAULTS_BY_NAME.get(own.fault)
    if kind is None:
        yield unknown_name("fault", own.fault, FAULTS_BY_NAME, loaded.document.locate((*path, "fault")))
        return
    strange = [label for label in own.target if label not in kind.target_labels]
    for label in strange:
        accepted = ", ".join(kind.target_labels) or "no target"
        yield loaded.problem(
            (*path, "target", label), f"{own.fault}: target has no label {label!r}", accepted, key=True
        )
    if targets is not None and not strange:
        yield from targets.problems(kind, own.target, lambda *label: loaded.document.locate((*path, "target", *label)))


def _is_whole(loaded: LoadedCatalog) -> bool:
    """Whether everything that a target can name is sound; else what there is would not be known."""
    for section in ("providers", "aliases", "tenants"):
        written = loaded.document.value.get(section) or {}
        if not isinstance(written, Mapping) or len(written) != len(getattr(loaded.catalog, section)):
            return False
    return True
