"""Faults in a live environment: choose what causes each, turn it on, and turn it off again whatever becomes of the drill.

The fault proxy has leases of its own. Of all other faults the undoer knows how to undo them before they are turned on.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tiercli.catalog.environment import Environment
from tiercli.catalog.tree import KeyPath
from tiercli.conventions import slug
from tiercli.errors import FaultNotReverted, InvalidInput, Location, Problem
from tiercli.faults.environment.choice import ByLoad, ByProxy, ByToxiproxy, Chooser, Uncovered
from tiercli.faults.environment.commands_and_hooks import (
    InjectionPlan,
    OwnFault,
    fault_on_target,
    find_own_fault,
    missing_programs,
    plan_own_fault,
)
from tiercli.faults.environment.endpoints import Locate, open_endpoint
from tiercli.faults.environment.secrets import secrets_of
from tiercli.faults.environment.toxiproxy import Toxiproxy
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.check import check_fault
from tiercli.faults.proxy.client import FaultControl
from tiercli.sidecar.undoable_fault import UndoableFault
from tiercli.sidecar.undoer import Undoer

Use = tuple[str, Mapping[str, str], Mapping[str, Any]]


class Applied:
    """A fault that is on. `description`: what turned it on, on one line."""

    def __init__(self, description: str, off: Callable[[], Awaitable[None]]) -> None:
        self.description = description
        self._off = off
        self._is_off = False

    async def clear(self) -> None:
        """Turn it off; nothing where it is off already. Raises FaultNotReverted."""
        if not self._is_off:
            await self._off()
            self._is_off = True


class LiveInjectors:
    """The injectors of one environment. An async context manager; leaving it turns off what is still on."""

    def __init__(
        self,
        environment: Environment,
        name: str,
        folder: Path,
        locate: Locate,
        *,
        tiers: Mapping[str, str] | None = None,
        note_folder: Path | None = None,
    ) -> None:
        """`folder` is the catalog's: files of credentials lie below it, commands run in it. `locate` gives places in the catalog.
        `tiers`: the tier of each provider. While a fault without a lease of its own is on, a file in `note_folder` (by default the
        user's state folder) lists it, and how to undo it by hand. See `note_name`."""
        self._environment = environment
        self._name = name
        self._folder = folder.resolve()
        self._locate_in_catalog = locate
        self._tiers = tiers or {}
        self._note = (_state_folder() if note_folder is None else note_folder.resolve()) / note_name(name, os.getpid())
        self._control: FaultControl | None = None
        self._undoer: Undoer | None = None
        self._starting = asyncio.Lock()
        self._on: list[Applied] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Shielded: a cancelled drill still turns its faults off.
        await asyncio.shield(self._end())

    def by_load(self, fault: str, target: Mapping[str, str]) -> bool:
        """Whether load causes it, which is not done here: it is a fault of load, and no command or hook causes it."""
        own = find_own_fault(self._environment.injectors, fault, target)
        return FAULTS_BY_NAME[fault].injector == "load" and own is None

    async def check(self, uses: Sequence[Use]) -> list[Problem]:
        """Which of `uses` (fault, target, settings) cannot be caused here: why, and what would help. Changes nothing.
        Raises BackendError where a proxy that is needed does not answer, or refuses tiercli."""
        problems: list[Problem] = []
        chooser = self._chooser()
        for fault, target, settings in uses:
            try:
                _, checked = check_fault(fault, target, settings, self._locate(()))
                choice = await chooser.choose(fault, target, checked)
                if isinstance(choice, OwnFault):
                    plan_own_fault(choice, target, settings, self._folder, self._locate)
                    problems += missing_programs(choice, self._folder, self._locate)
            except InvalidInput as error:
                problems += error.problems
                continue
            if isinstance(choice, Uncovered):
                problems.append(choice.problem(self._locate(())))
        problems += await chooser.toxiproxy_problems(self._locate)
        return list(dict.fromkeys(problems))

    async def apply(self, fault: str, target: Mapping[str, str], settings: Mapping[str, Any]) -> Applied:
        """Turn a fault on; it must not be one of `by_load`. Raises InvalidInput where nothing here can, BackendError where it
        could not be turned on and is off, FaultNotReverted where it could not and may be on all the same."""
        _, checked = check_fault(fault, target, settings, self._locate(()))
        choice = await self._chooser().choose(fault, target, checked)
        match choice:
            case ByProxy():
                return await self._by_proxy(fault, target, settings)
            case ByToxiproxy():
                await choice.toxiproxy.check_enabled(choice.names)
                plan = choice.toxiproxy.plan(fault, choice.way, choice.names)
            case OwnFault():
                plan = plan_own_fault(choice, target, settings, self._folder, self._locate)
            case ByLoad():
                raise ValueError(f"{fault} is caused by load")
            case Uncovered():
                problem = choice.problem(self._locate(()))
                raise InvalidInput(f"nothing in environment {self._name!r} can cause {fault}", [problem])
        return await self._by_undoer(fault, target, plan)

    async def renew_all(self) -> None:
        """Renew every lease. Raises BackendError where a fault has ended by itself; the undoer has turned its faults off then."""
        if self._undoer is not None:
            await self._undoer.renew()
        if self._control is not None:
            await self._control.renew_all()

    async def clear_all(self) -> None:
        """Turn off what is on or about to be, the newest first. Raises FaultNotReverted with all that could not be."""
        failures: list[FaultNotReverted] = []
        for applied in reversed(self._on):
            try:
                await applied.clear()
            except FaultNotReverted as error:
                failures.append(error)
        if failures:
            hints = dict.fromkeys(error.hint for error in failures)
            raise FaultNotReverted("; ".join(error.message for error in failures), hint="\n".join(hints))

    def _chooser(self) -> Chooser:
        def open_toxiproxy() -> Toxiproxy | None:
            return Toxiproxy.of(self._environment, self._tiers, self._folder, self._locate)

        return Chooser(self._environment.injectors, self._name, self._open_proxy, open_toxiproxy)

    def _open_proxy(self) -> FaultControl | None:
        """The fault proxy's control, None without one. Raises InvalidInput for its credential."""
        proxy = self._environment.injectors.proxy
        if proxy is not None and self._control is None:
            place = self._locate(("proxy",))
            opened = open_endpoint(proxy, self._folder, place)
            if proxy.credential is None or proxy.credential.scheme != "bearer":
                problem = Problem(place, "the fault proxy requires its token", "credential: {env: …} or {file: …}")
                raise InvalidInput("no token for the fault proxy", [problem])
            file = proxy.credential.file
            token_file = self._folder / file if file is not None else None
            self._control = FaultControl(proxy.url, opened.secrets[0], token_file=token_file, verify=opened.trust)
        return self._control

    async def _by_proxy(self, fault: str, target: Mapping[str, str], settings: Mapping[str, Any]) -> Applied:
        control = self._control
        assert control is not None  # noqa: S101 - it was chosen
        lease = await control.apply(fault, target, settings)
        description = f"the fault proxy at {control.url}: {fault} on {', '.join(lease.routes)}"
        applied = Applied(description, lambda: control.clear(lease))
        self._on.append(applied)
        return applied

    async def _by_undoer(self, fault: str, target: Mapping[str, str], plan: InjectionPlan) -> Applied:
        async with self._starting:
            if self._undoer is None:
                undoer = Undoer(self._note)
                await undoer.start()
                self._undoer = undoer
        undoer = self._undoer
        # Not the plan's alone: a command has all of tiercli's variables, and can read every file.
        all_secrets = tuple(dict.fromkeys((*plan.secrets, *secrets_of(self._environment, self._folder))))
        fault_id, name = f"{fault}-{secrets.token_hex(4)}", fault_on_target(fault, target)
        applied = Applied(plan.description, lambda: undoer.turn_off(fault_id))
        # Before it is on: whatever ends this wait also ends the fault.
        self._on.append(applied)
        await undoer.turn_on(UndoableFault(fault_id, name, plan.steps, plan.by_hand, all_secrets))
        return applied

    async def _end(self) -> None:
        try:
            await self.clear_all()
        finally:
            if self._undoer is not None:
                await self._undoer.close()
            if self._control is not None:
                await self._control.aclose()

    def _locate(self, path: KeyPath) -> Location:
        return self._locate_in_catalog(("environments", self._name, "injectors", *path))


def note_name(environment: str, pid: int) -> str:
    """The name of the file that lists what is on, by environment and process: drills that run at the same time may share a
    folder."""
    return f"faults-on-{slug(environment)}-{pid}.txt"


def _state_folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tiercli"
