"""The endpoints of an environment, made ready to be proxied: their routes, what changes on the way, how answers are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tiercli.catalog.environment import ProviderEndpoint
from tiercli.catalog.loading import LoadedCatalog
from tiercli.clients.credentials import read_headers, read_secret, read_trust
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.exporters.serving import read_address
from tiercli.faults.kinds import FAULTS
from tiercli.faults.kinds.interface import ROUTE_LABELS
from tiercli.faults.proxy.forwarding import Passage
from tiercli.faults.proxy.routes import Route
from tiercli.measuring.place import OWN_HEADERS, Place
from tiercli.wires import WIRES
from tiercli.wires.interface import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiedEndpoint:
    """One endpoint that the proxy forwards to."""

    route: Route
    place: Place
    wire: Wire
    passage: Passage
    has_credential: bool


def endpoints_of(loaded: LoadedCatalog, name: str, *, measured: bool) -> list[ProxiedEndpoint]:
    """Every endpoint of the environment `name`, in the catalog's order. `measured`: its answers will be read.

    Raises InvalidInput with everything that is wrong with them: a credential that is not where the catalog says, for example."""
    environment = loaded.environment(name)
    if not environment.endpoints:
        place = loaded.document.locate(("environments", name), key=True)
        problem = Problem(place, f"environment {name!r} has no endpoints", "endpoints: [{provider, region, url}, …]")
        raise InvalidInput("this environment has no endpoints to proxy", [problem])
    folder = Path(loaded.document.name).parent
    problems: list[Problem] = []
    ready: list[ProxiedEndpoint] = []
    listens: dict[str, int] = {}
    for number, endpoint in enumerate(environment.endpoints):
        path = ("environments", name, "endpoints", number)
        problems += _address_problems(endpoint, listens, loaded.document.locate((*path, "listen")))
        listens.setdefault(endpoint.listen, number)
        try:
            ready.append(_ready(loaded, endpoint, folder, loaded.document.locate(path), measured=measured))
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(f"the endpoints of environment {name!r} cannot be proxied", problems)
    return ready


def _ready(
    loaded: LoadedCatalog, endpoint: ProviderEndpoint, folder: Path, at: Location, *, measured: bool
) -> ProxiedEndpoint:
    if "?" in endpoint.url or "#" in endpoint.url:
        raise InvalidInput(
            "not a base URL", [Problem(at, f"{endpoint.url.partition('?')[0]} has a query", "a URL without a query")]
        )
    wire, place = WIRES[endpoint.wire], Place(loaded.catalog, endpoint)
    put = _credential_headers(endpoint, wire, folder, at)
    passage = Passage(
        tls=read_trust(endpoint, folder, at),
        # The headers that name the caller are for this proxy, not for the provider.
        removed=(*(wire.credential_headers if put else ()), *(OWN_HEADERS if measured else ())),
        put=put,
        assumed=wire.assumed_headers,
        readable=measured,
    )
    host, port = read_address(endpoint.listen)
    calls = [kind for kind in FAULTS if kind.build is not None and ROUTE_LABELS[0] in kind.target_labels]
    route = Route(
        name="/".join(part.replace("%", "%25").replace("/", "%2F") for part in _parts(endpoint)),
        host=host,
        port=port,
        upstream=endpoint.url.rstrip("/"),
        labels=place.labels,
        faults=tuple(kind.name for kind in calls if kind.wire in (None, endpoint.wire)),
    )
    return ProxiedEndpoint(route=route, place=place, wire=wire, passage=passage, has_credential=bool(put))


def _parts(endpoint: ProviderEndpoint) -> Iterator[str]:
    yield from (endpoint.provider, endpoint.region)
    if endpoint.server is not None:
        yield endpoint.server


def _credential_headers(endpoint: ProviderEndpoint, wire: Wire, folder: Path, at: Location) -> dict[str, str]:
    credential = endpoint.credential
    if credential is None:
        return {}
    if credential.scheme == "bearer":
        return dict(wire.credential(read_secret(credential, folder, at)))
    if "Authorization" not in wire.credential("x"):
        problem = Problem(at, f"the wire format {wire.name} has no user and password", "scheme: bearer")
        raise InvalidInput("the credential cannot be used", [problem])
    return read_headers(endpoint, folder, at)


def _address_problems(endpoint: ProviderEndpoint, taken: dict[str, int], at: Location) -> Iterator[Problem]:
    host, port = read_address(endpoint.listen)
    if port and endpoint.listen in taken:
        yield Problem(at, f"another endpoint listens on {endpoint.listen} too", "an address of its own, or port 0")
    elif port and (host, port) == (urlsplit(endpoint.url).hostname, urlsplit(endpoint.url).port):
        yield Problem(
            at, f"{endpoint.listen} is the address of the endpoint itself", "another port: the proxy would call itself"
        )
