"""How to get at the servers of an environment: their URLs, what lets one in, what their certificates are checked by."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tiercli.catalog.environment import Endpoint, Environment
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.names import unknown_name
from tiercli.clients.credentials import read_headers, read_trust
from tiercli.errors import BackendUnreachable, InvalidInput, Location, Problem

_KNOCK_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Access:
    """A server and the way in. `location`: where the catalog names it."""

    name: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    verify: ssl.SSLContext | bool
    location: Location


def find_environment(loaded: LoadedCatalog, name: str) -> Environment:
    """An environment of the catalog. Raises InvalidInput for a name that it does not have."""
    environments = loaded.catalog.environments
    if name not in environments:
        raise InvalidInput("no such environment", [unknown_name("environment", name, environments, Location("--env"))])
    return environments[name]


def access_to(loaded: LoadedCatalog, name: str, part: str, why: str) -> Access:
    """The way to one of an environment's servers: gateway, prometheus, alertmanager or grafana. Raises InvalidInput where it is not
    named (`why` it is needed), or its secret is not where the catalog says."""
    endpoint: Endpoint | None = getattr(find_environment(loaded, name), part)
    if endpoint is None:
        place = loaded.document.locate(("environments", name), key=True)
        raise InvalidInput(why, [Problem(place, f"environment {name!r} names no {part}", f"{part}: {{url: …}}")])
    folder, at = Path(loaded.document.name).parent, loaded.document.locate(("environments", name, part))
    headers, verify = read_headers(endpoint, folder, at), read_trust(endpoint, folder, at)
    return Access(part, endpoint.url, headers, verify, at)


async def refusal(access: Access, path: str) -> Problem | None:
    """Ask for `path` and say what is wrong with the way in: credentials that are refused, a certificate that does not verify.
    Raises BackendUnreachable where nobody answers."""
    url = access.url.rstrip("/") + path
    try:
        async with httpx.AsyncClient(
            headers=dict(access.headers), verify=access.verify, trust_env=False, timeout=_KNOCK_WITHIN_S
        ) as client:
            answer = await client.get(url)
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            said = str(error).partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
            found = f"the certificate of {access.name} at {access.url} does not verify: {said or error}"
            return Problem(access.location, found, "ca_file: the certificates that it is to be checked by")
        raise _unreachable(access, error) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(access, error) from error
    if answer.status_code in (401, 403):
        given = "the credential is refused" if access.headers else "a credential is demanded"
        found = f"{access.name} at {access.url}: {given} (HTTP {answer.status_code})"
        return Problem(access.location, found, "credential: {env: VARIABLE} or {file: FILE} with what lets tiercli in")
    if 300 <= answer.status_code < 400:
        found = f"{access.name} at {access.url} sends one elsewhere (HTTP {answer.status_code})"
        return Problem(access.location, found, "the URL of the server itself, without a login page before it")
    if answer.status_code >= 500:
        raise BackendUnreachable(f"{access.name} at {access.url} answered {answer.status_code}", hint="is it healthy?")
    return None


def _unreachable(access: Access, error: Exception) -> BackendUnreachable:
    said = str(error) or type(error).__name__
    return BackendUnreachable(
        f"{access.name} at {access.url} does not answer: {said}", hint="is it up, and is the URL right?"
    )
