"""Faults in a real environment: who brings each about, on under a lease, and off again whatever becomes of the drill.

The fault proxy has leases of its own. For all others the undoer is told how a fault is undone before it is turned on.
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
from tiercli.faults.environment.commands_and_hooks import DeclaredFault, missing_programs, own_fault, own_way
from tiercli.faults.environment.endpoints import Locate, open_endpoint
from tiercli.faults.environment.secrets import secrets_of
from tiercli.faults.environment.toxiproxy import Toxiproxy
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.check import check_fault
from tiercli.faults.proxy.client import FaultControl
from tiercli.sidecar.undoable_fault import Step, UndoableFault
from tiercli.sidecar.undoer import Undoer

Use = tuple[str, Mapping[str, str], Mapping[str, Any]]


class Applied:
    """A fault that is on. `said`: who did what, on one line."""

    def __init__(self, said: str, off: Callable[[], Awaitable[None]]) -> None:
        self.said = said
        self._off = off
        self._is_off = False

    async def clear(self) -> None:
        """Turn it off; one that is off is as good. Raises FaultNotReverted."""
        if not self._is_off:
            await self._off()
            self._is_off = True


class LiveInjectors:
    """The injectors of one environment. An async context manager; leaving it clears what is still on."""

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
        """`folder` is the catalog's: files of credentials lie below it, commands run in it. `locate` knows the catalog's places.
        `tiers`: the tier of each provider. While something that has no lease of its own is on, a file in `note_folder` says so and
        how it is undone by hand; without one, a file in the user's folder of states. See `note_name`."""
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
        # Shielded: what cancels the drill must not cancel the end of its faults.
        await asyncio.shield(self._end())

    def by_load(self, fault: str, target: Mapping[str, str]) -> bool:
        """Whether it is brought about by load, which is not done here: it is a fault of load, and no command or hook does it."""
        own = own_fault(self._environment.injectors, fault, target)
        return FAULTS_BY_NAME[fault].injector == "load" and own is None

    async def check(self, uses: Sequence[Use]) -> list[Problem]:
        """What of `uses` (fault, target, settings) cannot be brought about here: by whom, why, and what could be. Touches nothing.
        Raises BackendError where a proxy that would do it does not answer, or does not let tiercli in."""
        problems: list[Problem] = []
        chooser = self._chooser()
        for fault, target, settings in uses:
            try:
                _, checked = check_fault(fault, target, settings, self._locate(()))
                way = await chooser.choose(fault, target, checked)
                if isinstance(way, DeclaredFault):
                    own_way(way, target, settings, self._folder, self._locate)
                    problems += missing_programs(way, self._folder, self._locate)
            except InvalidInput as error:
                problems += error.problems
                continue
            if isinstance(way, Uncovered):
                problems.append(way.problem(self._locate(())))
        problems += await chooser.toxiproxy_problems(self._locate)
        return list(dict.fromkeys(problems))

    async def apply(self, fault: str, target: Mapping[str, str], settings: Mapping[str, Any]) -> Applied:
        """Turn a fault on; it must not be one of `by_load`. Raises InvalidInput where nothing here can, BackendError where it
        could not be turned on and is off, FaultNotReverted where it could not and may be on all the same."""
        _, checked = check_fault(fault, target, settings, self._locate(()))
        way = await self._chooser().choose(fault, target, checked)
        match way:
            case ByProxy():
                return await self._by_proxy(fault, target, settings)
            case ByToxiproxy():
                await way.toxiproxy.check_on(way.names)
                steps, by_hand = way.toxiproxy.steps(fault, way.way, way.names)
                said = f"Toxiproxy at {way.toxiproxy.url}: {', '.join(way.names)} {way.way.said}"
                return await self._kept(fault, target, steps, said, by_hand, way.toxiproxy.opened.secrets)
            case DeclaredFault():
                own = own_way(way, target, settings, self._folder, self._locate)
                said = f"{own.said} brought {_on(fault, target)} about"
                return await self._kept(fault, target, (own.step,), said, own.by_hand, own.secrets)
            case ByLoad():
                raise ValueError(f"{fault} is brought about by load")
            case Uncovered():
                problem = way.problem(self._locate(()))
                raise InvalidInput(f"nothing in environment {self._name!r} can bring {fault} about", [problem])

    async def renew_all(self) -> None:
        """Begin every lease anew. Raises BackendError where a fault has ended already; what the undoer had on is off then."""
        if self._undoer is not None:
            await self._undoer.renew()
        if self._control is not None:
            await self._control.renew_all()

    def _chooser(self) -> Chooser:
        def open_toxiproxy() -> Toxiproxy | None:
            return Toxiproxy.of(self._environment, self._tiers, self._folder, self._locate)

        return Chooser(self._environment.injectors, self._name, self._open_proxy, open_toxiproxy)

    def _open_proxy(self) -> FaultControl | None:
        """The fault proxy's control, None where there is none. Raises InvalidInput for its credential."""
        proxy = self._environment.injectors.proxy
        if proxy is not None and self._control is None:
            place = self._locate(("proxy",))
            opened = open_endpoint(proxy, self._folder, place)
            if proxy.credential is None or proxy.credential.scheme != "bearer":
                problem = Problem(place, "the fault proxy wants its token", "credential: {env: …} or {file: …}")
                raise InvalidInput("the fault proxy would not let tiercli in", [problem])
            file = proxy.credential.file
            token_file = self._folder / file if file is not None else None
            self._control = FaultControl(proxy.url, opened.secrets[0], token_file=token_file, verify=opened.trust)
        return self._control

    async def _by_proxy(self, fault: str, target: Mapping[str, str], settings: Mapping[str, Any]) -> Applied:
        control = self._control
        assert control is not None  # noqa: S101 - it was chosen
        on = await control.apply(fault, target, settings)
        said = f"the fault proxy at {control.url}: {fault} on {', '.join(on.routes)}"
        applied = Applied(said, lambda: control.clear(on))
        self._on.append(applied)
        return applied

    async def _kept(
        self,
        fault: str,
        target: Mapping[str, str],
        steps: tuple[Step, ...],
        said: str,
        by_hand: str,
        hidden: tuple[str, ...],
    ) -> Applied:
        async with self._starting:
            if self._undoer is None:
                undoer = Undoer(self._note)
                await undoer.start()
                self._undoer = undoer
        undoer = self._undoer
        # Not its own alone: a command has all of tiercli's variables, and can read every file.
        hidden = tuple(dict.fromkeys((*hidden, *secrets_of(self._environment, self._folder))))
        kept = UndoableFault(f"{fault}-{secrets.token_hex(4)}", _on(fault, target), steps, by_hand, hidden)
        applied = Applied(said, lambda: undoer.turn_off(kept.id))
        # Before it is on: whatever ends this wait also ends the fault.
        self._on.append(applied)
        await undoer.turn_on(kept)
        return applied

    async def clear_all(self) -> None:
        """Turn off what is on or about to be, the newest first. Raises FaultNotReverted with all that could not be."""
        failed: list[FaultNotReverted] = []
        for applied in reversed(self._on):
            try:
                await applied.clear()
            except FaultNotReverted as error:
                failed.append(error)
        if failed:
            hints = dict.fromkeys(error.hint for error in failed)
            raise FaultNotReverted("; ".join(error.message for error in failed), hint="\n".join(hints))

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


def _on(fault: str, target: Mapping[str, str]) -> str:
    labels = ", ".join(f"{label}={value}" for label, value in target.items())
    return f"{fault} on {labels}" if labels else fault


def note_name(environment: str, pid: int) -> str:
    """The name of the file that says what is on, while something is: of an environment and a process, because drills that run at the
    same time may share a folder."""
    return f"faults-on-{slug(environment)}-{pid}.txt"


def _state_folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tiercli"
