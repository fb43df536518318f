"""Who brings a fault about in an environment: an operator's own command or hook, else the fault proxy, else Toxiproxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tiercli.catalog.environment import Injectors
from tiercli.errors import Location, Problem
from tiercli.faults.environment.commands_and_hooks import DeclaredFault, own_fault
from tiercli.faults.environment.endpoints import Locate
from tiercli.faults.environment.toxics import Cannot, Disabled, Toxic, toxiproxy_way
from tiercli.faults.environment.toxiproxy import Toxiproxy
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.interface import FaultSettings, Injector
from tiercli.faults.proxy.client import FaultControl, ProxyRoute

_OWN = "a command or a hook with this fault and exactly this target, in injectors"
_BEYOND: Mapping[Injector, str] = {
    "process": "it ends processes, which no proxy can",
    "gateway": "it changes what the simulated gateway does, which no proxy can",
}


@dataclass(frozen=True, slots=True)
class ByProxy:
    """The fault proxy does it."""


@dataclass(frozen=True, slots=True)
class ByLoad:
    """More calls do it."""


@dataclass(frozen=True, slots=True)
class ByToxiproxy:
    """Toxiproxy does it, at these of its proxies."""

    toxiproxy: Toxiproxy
    names: Sequence[str]
    way: Disabled | Toxic


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Nobody can: why, and what would help."""

    said: str
    accepted: str

    def problem(self, location: Location) -> Problem:
        """As a problem of the catalog's."""
        return Problem(location, self.said, self.accepted)


Choice = DeclaredFault | ByProxy | ByLoad | ByToxiproxy | Uncovered


class Chooser:
    """Chooses for one environment. A proxy is opened when a fault may need it, and asked once what it stands before."""

    def __init__(
        self,
        injectors: Injectors,
        name: str,
        open_proxy: Callable[[], FaultControl | None],
        open_toxiproxy: Callable[[], Toxiproxy | None],
    ) -> None:
        self._injectors = injectors
        self._name = name
        self._open_proxy = open_proxy
        self._open_toxiproxy = open_toxiproxy
        self._chosen_toxiproxy: Toxiproxy | None = None
        self._offered: tuple[ProxyRoute, ...] | None = None

    async def choose(self, fault: str, target: Mapping[str, str], settings: FaultSettings) -> Choice:
        """Who does it. Raises BackendError where the fault proxy does not say what it stands before, InvalidInput where a
        credential is not where the catalog says."""
        own = own_fault(self._injectors, fault, target)
        if own is not None:
            return own
        kind = FAULTS_BY_NAME[fault]
        if kind.injector == "load":
            return ByLoad()
        if kind.build is None:
            return self._uncovered(fault, target, [_BEYOND[kind.injector]], [_OWN])
        whys, could = [], []
        control = self._open_proxy()
        if control is not None:
            why = await self._why_not_proxy(control, fault, target)
            if not why:
                return ByProxy()
            whys.append(why)
        toxiproxy = self._open_toxiproxy()
        if toxiproxy is not None:
            way = self._by_toxiproxy(toxiproxy, fault, target, settings)
            if isinstance(way, ByToxiproxy):
                self._chosen_toxiproxy = toxiproxy
                return way
            whys.append(f"Toxiproxy cannot: {way.why}")
            could += [way.could] if way.could else []
        if not whys:
            whys.append("it has no proxy")
            could.append("injectors: {proxy: …} or {toxiproxy: …}")
        return self._uncovered(fault, target, whys, [*could, _OWN])

    async def toxiproxy_problems(self, locate: Locate) -> list[Problem]:
        """What the catalog says of Toxiproxy that is not so there, where a fault was left to it. Raises BackendError."""
        if self._chosen_toxiproxy is None:
            return []
        return list(self._chosen_toxiproxy.problems(await self._chosen_toxiproxy.proxies(), locate))

    async def _why_not_proxy(self, control: FaultControl, fault: str, target: Mapping[str, str]) -> str:
        if self._offered is None:
            self._offered = await control.routes()
        meant = [route for route in self._offered if all(route.labels.get(key) == one for key, one in target.items())]
        unable = [route.name for route in meant if fault not in route.faults]
        if unable:
            return f"the fault proxy at {control.url} cannot do {fault} on {', '.join(unable)}, which the target means"
        if meant:
            return ""
        known = "; ".join(f"{route.name} ({_labels(route.labels)})" for route in self._offered) or "none"
        return f"no route of the fault proxy at {control.url} is that; its routes: {known}"

    def _by_toxiproxy(
        self, toxiproxy: Toxiproxy, fault: str, target: Mapping[str, str], settings: FaultSettings
    ) -> ByToxiproxy | Cannot:
        way = toxiproxy_way(fault, settings)
        if isinstance(way, Cannot):
            return way
        names, beside = toxiproxy.names(target), toxiproxy.beside(target)
        if not names:
            return Cannot("none of its proxies stands before that", "an entry of toxiproxy.proxies for it")
        if beside:
            said = f"none of its proxies stands before {', '.join(beside)}, which the target means too"
            return Cannot(said, "an entry of toxiproxy.proxies for each")
        return ByToxiproxy(toxiproxy, names, way)

    def _uncovered(self, fault: str, target: Mapping[str, str], whys: Sequence[str], could: Sequence[str]) -> Uncovered:
        on = f" on {_labels(target)}" if target else ""
        said = f"nothing in environment {self._name!r} can bring {fault}{on} about: {'; '.join(whys)}"
        return Uncovered(said, "; or ".join(could))


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{label}={value}" for label, value in labels.items())
