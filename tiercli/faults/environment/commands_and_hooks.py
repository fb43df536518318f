"""Faults that an operator's own commands and hooks bring about, as the undoer takes them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiercli.catalog.environment import CommandInjector, HookCall, HookInjector, Injectors
from tiercli.catalog.tree import KeyPath
from tiercli.durations import parse_duration
from tiercli.errors import Problem
from tiercli.faults.environment.endpoints import Locate, OpenEndpoint, open_endpoint
from tiercli.sidecar.actions import Call, Command
from tiercli.sidecar.undoable_fault import Step


@dataclass(frozen=True, slots=True)
class DeclaredFault:
    """A command or a hook, and where it stands below `injectors`."""

    injector: CommandInjector | HookInjector
    path: KeyPath


@dataclass(frozen=True, slots=True)
class OwnWay:
    """How an operator's own fault is brought about and undone."""

    step: Step
    said: str
    by_hand: str
    secrets: tuple[str, ...]


def own_fault(injectors: Injectors, fault: str, target: Mapping[str, str]) -> DeclaredFault | None:
    """The command or hook for exactly this fault and target, the commands first; None where there is none."""
    for kind in ("commands", "hooks"):
        found: Sequence[CommandInjector | HookInjector] = getattr(injectors, kind)
        for at, one in enumerate(found):
            if one.fault == fault and dict(one.target) == dict(target):
                return DeclaredFault(one, (kind, at))
    return None


def missing_programs(own: DeclaredFault, folder: Path, locate: Locate) -> Iterator[Problem]:
    """A problem for each program of a command that cannot be run from `folder`."""
    if not isinstance(own.injector, CommandInjector):
        return
    for key in ("on", "off"):
        program = getattr(own.injector, key)[0]
        found = os.access(folder / program, os.X_OK) if "/" in program else shutil.which(program)
        if not found:
            accepted = "a program on PATH, or a path from the catalog's folder"
            yield Problem(locate((*own.path, key, 0)), f"{program!r} cannot be run here", accepted)


def own_way(
    own: DeclaredFault, target: Mapping[str, str], settings: Mapping[str, Any], folder: Path, locate: Locate
) -> OwnWay:
    """What turns it on and off. Raises InvalidInput for a credential or certificates that are not where the catalog says."""
    within_s = parse_duration(own.injector.within)
    if isinstance(own.injector, CommandInjector):
        env = {
            "TIERCLI_FAULT": own.injector.fault,
            "TIERCLI_TARGET": json.dumps(dict(target)),
            "TIERCLI_SETTINGS": json.dumps(dict(settings)),
        }
        on, off = (Command(argv, str(folder), within_s, env) for argv in (own.injector.on, own.injector.off))
        said = f"the command `{shlex.join(on.argv)}`"
        return OwnWay(Step(on, off), said, f"cd {shlex.quote(str(folder))} && {shlex.join(off.argv)}", ())
    hook = own.injector
    opened = [
        open_endpoint(call, folder, locate((*own.path, key))) for key, call in (("on", hook.on), ("off", hook.off))
    ]
    step = Step(_call(hook.on, opened[0], within_s), _call(hook.off, opened[1], within_s))
    secrets = tuple(dict.fromkeys((*opened[0].secrets, *opened[1].secrets)))
    by_hand = opened[1].curl(hook.off.method, hook.off.url, hook.off.body)
    return OwnWay(step, f"the hook {hook.on.method} {hook.on.url}", by_hand, secrets)


def _call(call: HookCall, opened: OpenEndpoint, within_s: float) -> Call:
    headers = dict(opened.headers)
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    return Call(call.method, call.url, within_s, headers, call.body, opened.ca_file)
