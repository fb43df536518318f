"""Faults by a running Toxiproxy: which faults it can cause, at which of its proxies, and the requests that turn them on and off.

Toxiproxy passes bytes on. It does not know calls, answers and streams.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tiercli.catalog.environment import Environment, ProviderEndpoint, ToxiproxyInjector, ToxiproxyTarget
from tiercli.clients.toxiproxy import ToxiproxyClient, ToxiproxyProxy
from tiercli.errors import BackendError, Problem
from tiercli.faults.environment.commands_and_hooks import InjectionPlan
from tiercli.faults.environment.endpoints import Locate, OpenEndpoint, open_endpoint
from tiercli.faults.kinds.blackhole import BlackholeSettings
from tiercli.faults.kinds.interface import FaultSettings
from tiercli.faults.kinds.latency import LatencySettings
from tiercli.faults.kinds.outage import OutageSettings
from tiercli.sidecar.actions import Call
from tiercli.sidecar.undoable_fault import Step

_WITHIN_S = 10.0
_GONE = (404,)  # the toxic, or the whole proxy: off either way
_P95 = 0.9  # of a uniform distribution: its 95th percentile lies at 0.9 of the way from its middle to its end


@dataclass(frozen=True, slots=True)
class Disabled:
    """The proxy does not listen, and its connections are closed."""

    effect: str = "does not listen"


@dataclass(frozen=True, slots=True)
class Toxic:
    """A toxic: type, direction and attributes as in Toxiproxy's API, and its effect in words."""

    type: str
    stream: str
    attributes: Mapping[str, int]
    effect: str


@dataclass(frozen=True, slots=True)
class Cannot:
    """Toxiproxy cannot cause it: why, and what could."""

    why: str
    accepted: str = ""


def toxiproxy_way(fault: str, settings: FaultSettings) -> Disabled | Toxic | Cannot:
    """How Toxiproxy causes a fault, if it can."""
    match settings:
        case OutageSettings(mode="refused"):
            return Disabled()
        case OutageSettings():
            # Towards the endpoint: the call does not reach it, and costs nothing.
            return Toxic("reset_peer", "upstream", {"timeout": 0}, "resets each connection at its first request")
        case BlackholeSettings(share=share) if share < 1:
            return Cannot("it chooses connections, and a connection carries many calls (share)", "share: 1")
        case BlackholeSettings():
            return Toxic("timeout", "upstream", {"timeout": 0}, "passes no request on, and answers none")
        case LatencySettings():
            return _latency(settings)
    return Cannot(f"it passes bytes on, and {fault} needs to know calls and their answers", "tiercli proxy")


def _latency(settings: LatencySettings) -> Toxic | Cannot:
    if settings.mode != "add":
        return Cannot("it adds to an endpoint's latency, and cannot fill it up to a target (mode target)", "mode: add")
    if settings.seed is not None:
        return Cannot("its random delays cannot be repeated (seed)", "no seed")
    spread = settings.distribution()
    jitter = (spread.p95 - spread.p50) / _P95
    latency_ms, jitter_ms = round(spread.p50 * 1000), round(jitter * 1000)
    if latency_ms < 1:
        return Cannot("it counts in milliseconds", "at least 0.001 seconds")
    if jitter_ms > latency_ms:
        accepted = f"p95_seconds up to {(1 + _P95) * spread.p50:g}, or seconds"
        return Cannot(f"its delays have a uniform distribution, which cannot have p95_seconds {spread.p95:g}", accepted)
    effect = f"adds {latency_ms} ms"
    if jitter_ms:
        effect += f" ± {jitter_ms} ms, uniformly: the median and the 95th percentile are as in the drill"
    return Toxic("latency", "downstream", {"latency": latency_ms, "jitter": jitter_ms}, effect)


@dataclass(frozen=True, slots=True)
class Toxiproxy:
    """One Toxiproxy, and the endpoints of its environment. `tiers` are those of the providers, where they are known."""

    injector: ToxiproxyInjector
    endpoints: Sequence[ProviderEndpoint]
    tiers: Mapping[str, str]
    opened: OpenEndpoint

    @classmethod
    def of(cls, environment: Environment, tiers: Mapping[str, str], folder: Path, locate: Locate) -> Toxiproxy | None:
        """That of an environment, None without one. Raises InvalidInput for its credential."""
        injector = environment.injectors.toxiproxy
        if injector is None:
            return None
        opened = open_endpoint(injector, folder, locate(("toxiproxy",)))
        return cls(injector, environment.endpoints, tiers, opened)

    @property
    def url(self) -> str:
        """The base URL of its API."""
        return self.injector.url.rstrip("/")

    async def proxies(self) -> Mapping[str, ToxiproxyProxy]:
        """Its proxies as they are now. Raises BackendError."""
        async with ToxiproxyClient(self.url, headers=self.opened.headers, verify=self.opened.trust) as client:
            return await client.proxies()

    def proxies_of(self, target: Mapping[str, str]) -> list[str]:
        """The proxies of the endpoints in `target`."""
        return [name for name, proxy in self.injector.proxies.items() if self._within(proxy, target)]

    def endpoints_without_proxy(self, target: Mapping[str, str]) -> list[str]:
        """The endpoints in `target` that have no proxy: a fault would not reach them."""
        proxies = [self.injector.proxies[name] for name in self.proxies_of(target)]
        return [
            "/".join(part for part in (endpoint.provider, endpoint.region, endpoint.server) if part)
            for endpoint in self.endpoints
            if self._within(endpoint, target) and not any(_covers(proxy, endpoint) for proxy in proxies)
        ]

    def problems(self, current: Mapping[str, ToxiproxyProxy], locate: Locate) -> Iterator[Problem]:
        """A problem for each proxy that the catalog names and that is missing or disabled among the `current` ones."""
        for name in self.injector.proxies:
            place = locate(("toxiproxy", "proxies", name))
            if name not in current:
                accepted = ", ".join(current) or "it has no proxies"
                yield Problem(place, f"Toxiproxy at {self.url} has no proxy {name!r}", accepted)
            elif not current[name].enabled:
                yield Problem(place, f"Toxiproxy's proxy {name!r} is disabled: no call passes through it", "enabled")

    def plan(self, fault: str, way: Disabled | Toxic, names: Sequence[str]) -> InjectionPlan:
        """How it is turned on and off at the proxies `names`."""
        number, steps, by_hand = secrets.token_hex(4), [], []
        for name in names:
            proxy_url = f"{self.url}/proxies/{quote(name, safe='')}"
            if isinstance(way, Disabled):
                on = self._call("POST", proxy_url, {"enabled": False})
                off = self._call("POST", proxy_url, {"enabled": True}, _GONE)
            else:
                toxic = f"tiercli-{fault}-{number}"
                body = {"name": toxic, "type": way.type, "stream": way.stream, "toxicity": 1.0}
                on = self._call("POST", f"{proxy_url}/toxics", {**body, "attributes": dict(way.attributes)})
                off = self._call("DELETE", f"{proxy_url}/toxics/{toxic}", None, _GONE)
            steps.append(Step(on, off))
            by_hand.append(self.opened.curl(off.method, off.url, off.body))
        description = f"Toxiproxy at {self.url}: {', '.join(names)} {way.effect}"
        return InjectionPlan(tuple(steps), description, " && ".join(by_hand), self.opened.secrets)

    async def check_enabled(self, names: Sequence[str]) -> None:
        """Raises BackendError where one of the proxies is missing, or is disabled already: to enable it again would undo
        somebody else's change."""
        current = await self.proxies()
        for name in names:
            if name not in current or not current[name].enabled:
                state = "is disabled already" if name in current else "does not exist"
                raise BackendError(f"the proxy {name!r} of Toxiproxy at {self.url} {state}")

    def _call(self, method: str, url: str, body: Mapping[str, object] | None, fine: tuple[int, ...] = ()) -> Call:
        headers = {**self.opened.headers, "Content-Type": "application/json"}
        text = None if body is None else json.dumps(body)
        return Call(method, url, _WITHIN_S, headers, text, self.opened.ca_file, fine)

    def _within(self, place: ToxiproxyTarget | ProviderEndpoint, target: Mapping[str, str]) -> bool:
        labels = {
            "provider": place.provider,
            "region": place.region,
            "server": place.server,
            "tier": self.tiers.get(place.provider),
        }
        return all(labels.get(label) == value for label, value in target.items())


def _covers(proxy: ToxiproxyTarget, endpoint: ProviderEndpoint) -> bool:
    same = (proxy.provider, proxy.region) == (endpoint.provider, endpoint.region)
    return same and (proxy.server is None or proxy.server == endpoint.server)
