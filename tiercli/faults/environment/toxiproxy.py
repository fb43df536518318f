"""Faults by a running Toxiproxy: which of its proxies a fault concerns, and the requests that turn it on and off."""

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
from tiercli.faults.environment.endpoints import Locate, OpenEndpoint, open_endpoint
from tiercli.faults.environment.toxics import Disabled, Toxic
from tiercli.sidecar.actions import Call
from tiercli.sidecar.undoable_fault import Step

_WITHIN_S = 10.0
_GONE = (404,)  # the toxic, or the whole proxy: off either way


@dataclass(frozen=True, slots=True)
class Toxiproxy:
    """One Toxiproxy, with what its proxies stand before. `tiers` are those of the providers, where they are known."""

    injector: ToxiproxyInjector
    endpoints: Sequence[ProviderEndpoint]
    tiers: Mapping[str, str]
    opened: OpenEndpoint

    @classmethod
    def of(cls, environment: Environment, tiers: Mapping[str, str], folder: Path, locate: Locate) -> Toxiproxy | None:
        """That of an environment, None where it has none. Raises InvalidInput for its credential."""
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

    def names(self, target: Mapping[str, str]) -> list[str]:
        """The proxies that stand before `target`."""
        return [name for name, place in self.injector.proxies.items() if self._within(place, target)]

    def beside(self, target: Mapping[str, str]) -> list[str]:
        """The endpoints of `target` that no proxy stands before: a fault would leave them alone."""
        places = [self.injector.proxies[name] for name in self.names(target)]
        return [
            "/".join(part for part in (one.provider, one.region, one.server) if part)
            for one in self.endpoints
            if self._within(one, target) and not any(_covers(place, one) for place in places)
        ]

    def problems(self, there: Mapping[str, ToxiproxyProxy], locate: Locate) -> Iterator[Problem]:
        """A problem for each proxy that the catalog names and the server does not have, or has not enabled."""
        for name in self.injector.proxies:
            place = locate(("toxiproxy", "proxies", name))
            if name not in there:
                yield Problem(
                    place, f"Toxiproxy at {self.url} has no proxy {name!r}", ", ".join(there) or "none is there"
                )
            elif not there[name].enabled:
                yield Problem(place, f"Toxiproxy's proxy {name!r} is disabled: nothing passes it as it is", "enabled")

    def steps(self, fault: str, way: Disabled | Toxic, names: Sequence[str]) -> tuple[tuple[Step, ...], str]:
        """What turns it on and off at the proxies `names`, and how it is undone by hand."""
        number, steps, by_hand = secrets.token_hex(4), [], []
        for name in names:
            at = f"{self.url}/proxies/{quote(name, safe='')}"
            if isinstance(way, Disabled):
                on, off = self._call("POST", at, {"enabled": False}), self._call("POST", at, {"enabled": True}, _GONE)
            else:
                toxic = f"tiercli-{fault}-{number}"
                body = {"name": toxic, "type": way.type, "stream": way.stream, "toxicity": 1.0}
                on = self._call("POST", f"{at}/toxics", {**body, "attributes": dict(way.attributes)})
                off = self._call("DELETE", f"{at}/toxics/{toxic}", None, _GONE)
            steps.append(Step(on, off))
            by_hand.append(self.opened.curl(off.method, off.url, off.body))
        return tuple(steps), " && ".join(by_hand)

    async def check_on(self, names: Sequence[str]) -> None:
        """Raises BackendError where one of the proxies is not there, or is disabled already: to enable it again would undo
        what somebody else did."""
        there = await self.proxies()
        for name in names:
            if name not in there or not there[name].enabled:
                said = "is disabled already" if name in there else "is not there"
                raise BackendError(f"the proxy {name!r} of Toxiproxy at {self.url} {said}")

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


def _covers(place: ToxiproxyTarget, endpoint: ProviderEndpoint) -> bool:
    same = (place.provider, place.region) == (endpoint.provider, endpoint.region)
    return same and (place.server is None or place.server == endpoint.server)
