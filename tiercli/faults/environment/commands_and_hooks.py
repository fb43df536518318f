"""Faults that an operator's own commands and hooks cause and undo."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
class OwnFault:
    """A command or a hook, and its place below `injectors`."""

    injector: CommandInjector | HookInjector
    path: KeyPath


@dataclass(frozen=True, slots=True)
class InjectionPlan:
    """How a fault is caused and undone; `description`: by what, for the operator; `by_hand`: a command line that undoes it."""

    steps: tuple[Step, ...]
    description: str
    by_hand: str
    secrets: tuple[str, ...] = field(default=(), repr=False)


def find_own_fault(injectors: Injectors, fault: str, target: Mapping[str, str]) -> OwnFault | None:
    """The command or hook for exactly this fault and target, the commands first; None without one."""
    for kind in ("commands", "hooks"):
        declared: Sequence[CommandInjector | HookInjector] = getattr(injectors, kind)
        for number, injector in enumerate(declared):
            if injector.fault == fault and dict(injector.target) == dict(target):
                return OwnFault(injector, (kind, number))
    return None


def missing_programs(own: OwnFault, folder: Path, locate: Locate) -> Iterator[Problem]:
    """A problem for each program of a command that cannot be run from `folder`."""
    if not isinstance(own.injector, CommandInjector):
        return
    for key in ("on", "off"):
        program = getattr(own.injector, key)[0]
        runnable = os.access(folder / program, os.X_OK) if "/" in program else shutil.which(program)
        if not runnable:
            accepted = "a program on PATH, or a path from the catalog's folder"
            yield Problem(locate((*own.path, key, 0)), f"{program!r} cannot be run here", accepted)


def plan_own_fault(
    own: OwnFault, target: Mapping[str, str], settings: Mapping[str, Any], folder: Path, locate: Locate
) -> InjectionPlan:
    """How it is turned on and off. Raises InvalidInput for a missing credential or certificate."""
    within_s, name = parse_duration(own.injector.within), fault_on_target(own.injector.fault, target)
    if isinstance(own.injector, CommandInjector):
        env = {
            "TIERCLI_FAULT": own.injector.fault,
            "TIERCLI_TARGET": json.dumps(dict(target)),
            "TIERCLI_SETTINGS": json.dumps(dict(settings)),
        }
        on, off = (Command(argv, str(folder), within_s, env) for argv in (own.injector.on, own.injector.off))
        by_hand = f"cd {shlex.quote(str(folder))} && {shlex.join(off.argv)}"
        return InjectionPlan((Step(on, off),), f"the command `{shlex.join(on.argv)}`: {name}", by_hand)
    hook = own.injector
    to_on, to_off = (
        open_endpoint(call, folder, locate((*own.path, key))) for key, call in (("on", hook.on), ("off", hook.off))
    )
    step = Step(_call(hook.on, to_on, within_s), _call(hook.off, to_off, within_s))
    description = f"the hook {hook.on.method} {hook.on.url}: {name}"
    by_hand = to_off.curl(hook.off.method, hook.off.url, hook.off.body)
    return InjectionPlan((step,), description, by_hand, tuple(dict.fromkeys((*to_on.secrets, *to_off.secrets))))


def fault_on_target(fault: str, target: Mapping[str, str]) -> str:
    """A fault and its target in words: `outage on provider=openai, region=us-east-1`."""
    return f"{fault} on {labels_in_words(target)}" if target else fault


def labels_in_words(labels: Mapping[str, str]) -> str:
    """`provider=openai, region=us-east-1`."""
    return ", ".join(f"{label}={value}" for label, value in labels.items())


def _call(call: HookCall, endpoint: OpenEndpoint, within_s: float) -> Call:
    headers = dict(endpoint.headers)
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    return Call(call.method, call.url, within_s, headers, call.body, endpoint.ca_file)
