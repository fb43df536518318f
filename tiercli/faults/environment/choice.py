"""What causes a fault in an environment: an operator's own command or hook, else the fault proxy, else Toxiproxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tiercli.catalog.environment import Injectors
from tiercli.errors import Location, Problem
from tiercli.faults.environment.commands_and_hooks import OwnFault, fault_on_target, find_own_fault, labels_in_words
from tiercli.faults.environment.endpoints import Locate
from tiercli.faults.environment.toxiproxy import Cannot, Disabled, Toxic, Toxiproxy, toxiproxy_way
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.interface import FaultSettings, Injector
from tiercli.faults.proxy.client import FaultControl, ProxyRoute

_OWN = "a command or a hook with this fault and exactly this target, in injectors"
_NOT_BY_PROXY: Mapping[Injector, str] = {
    "process": "it ends processes, and no proxy can do that",
    "gateway": "it changes the behaviour of the simulated gateway, and no proxy can do that",
}


@dataclass(frozen=True, slots=True)
class ByProxy:
    """The fault proxy causes it."""


@dataclass(frozen=True, slots=True)
class ByLoad:
    """More calls cause it."""


@dataclass(frozen=True, slots=True)
class ByToxiproxy:
    """Toxiproxy causes it, at these of its proxies."""

    toxiproxy: Toxiproxy
    names: Sequence[str]
    way: Disabled | Toxic


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Nothing in the environment can cause it: why, and what would help."""

    why: str
    accepted: str

    def problem(self, location: Location) -> Problem:
        """As a problem of the catalog's."""
        return Problem(location, self.why, self.accepted)


Choice = OwnFault | ByProxy | ByLoad | ByToxiproxy | Uncovered


class Chooser:
    """Chooses for one environment. A proxy is opened when a fault may need it, and asked for its routes once."""

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
        self._routes: tuple[ProxyRoute, ...] | None = None

    async def choose(self, fault: str, target: Mapping[str, str], settings: FaultSettings) -> Choice:
        """What causes the fault. Raises BackendError where the fault proxy does not list its routes, InvalidInput where a
        credential is missing."""
        own = find_own_fault(self._injectors, fault, target)
        if own is not None:
            return own
        kind = FAULTS_BY_NAME[fault]
        if kind.injector == "load":
            return ByLoad()
        if kind.build is None:
            return self._uncovered(fault, target, [_NOT_BY_PROXY[kind.injector]], [_OWN])
        whys, accepted = [], []
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
            accepted += [way.accepted] if way.accepted else []
        if not whys:
            whys.append("it has no proxy")
            accepted.append("injectors: {proxy: …} or {toxiproxy: …}")
        return self._uncovered(fault, target, whys, [*accepted, _OWN])

    async def toxiproxy_problems(self, locate: Locate) -> list[Problem]:
        """Where the catalog's Toxiproxy differs from the running one, if a fault was left to it. Raises BackendError."""
        if self._chosen_toxiproxy is None:
            return []
        return list(self._chosen_toxiproxy.problems(await self._chosen_toxiproxy.proxies(), locate))

    async def _why_not_proxy(self, control: FaultControl, fault: str, target: Mapping[str, str]) -> str:
        if self._routes is None:
            self._routes = await control.routes()
        matching = [
            route for route in self._routes if all(route.labels.get(label) == value for label, value in target.items())
        ]
        unable = [route.name for route in matching if fault not in route.faults]
        if unable:
            return (
                f"the fault proxy at {control.url} cannot do {fault} on {', '.join(unable)}, which the target includes"
            )
        if matching:
            return ""
        known = "; ".join(f"{route.name} ({labels_in_words(route.labels)})" for route in self._routes) or "none"
        return f"no route of the fault proxy at {control.url} matches the target; its routes: {known}"

    def _by_toxiproxy(
        self, toxiproxy: Toxiproxy, fault: str, target: Mapping[str, str], settings: FaultSettings
    ) -> ByToxiproxy | Cannot:
        way = toxiproxy_way(fault, settings)
        if isinstance(way, Cannot):
            return way
        names, without_proxy = toxiproxy.proxies_of(target), toxiproxy.endpoints_without_proxy(target)
        if not names:
            return Cannot("it has no proxy for this target", "an entry of toxiproxy.proxies for it")
        if without_proxy:
            why = f"it has no proxy for {', '.join(without_proxy)}, which the target includes"
            return Cannot(why, "an entry of toxiproxy.proxies for each")
        return ByToxiproxy(toxiproxy, names, way)

    def _uncovered(
        self, fault: str, target: Mapping[str, str], whys: Sequence[str], accepted: Sequence[str]
    ) -> Uncovered:
        why = f"nothing in environment {self._name!r} can cause {fault_on_target(fault, target)}: {'; '.join(whys)}"
        return Uncovered(why, "; or ".join(accepted))
