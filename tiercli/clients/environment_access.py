"""Access to the servers of an environment: their URLs, credentials and certificates."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tiercli.catalog.environment import Endpoint
from tiercli.catalog.loading import LoadedCatalog
from tiercli.clients.credentials import read_headers, read_trust
from tiercli.errors import BackendUnreachable, InvalidInput, Location, Problem

_ANSWER_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Access:
    """A server, its credential and its certificates. `location`: where the catalog names it."""

    name: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    verify: ssl.SSLContext | bool
    location: Location


def access_to(loaded: LoadedCatalog, name: str, part: str, why: str) -> Access:
    """The access to one of an environment's servers: gateway, prometheus, alertmanager or grafana. Raises InvalidInput where the
    catalog does not name it (`why` it is needed), or its secret is missing."""
    endpoint: Endpoint | None = getattr(loaded.environment(name), part)
    if endpoint is None:
        place = loaded.document.locate(("environments", name), key=True)
        raise InvalidInput(why, [Problem(place, f"environment {name!r} names no {part}", f"{part}: {{url: …}}")])
    folder, at = Path(loaded.document.name).parent, loaded.document.locate(("environments", name, part))
    headers, verify = read_headers(endpoint, folder, at), read_trust(endpoint, folder, at)
    return Access(part, endpoint.url, headers, verify, at)


async def refusal(access: Access, path: str) -> Problem | None:
    """Ask for `path`. What is wrong with the access: a refused credential, a certificate that does not verify; None for nothing.
    Raises BackendUnreachable without an answer."""
    url = access.url.rstrip("/") + path
    try:
        async with httpx.AsyncClient(
            headers=dict(access.headers), verify=access.verify, trust_env=False, timeout=_ANSWER_WITHIN_S
        ) as client:
            answer = await client.get(url)
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            reason = str(error).partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
            found = f"the certificate of {access.name} at {access.url} does not verify: {reason or error}"
            return Problem(access.location, found, "ca_file: the certificates to check it by")
        raise _unreachable(access, error) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(access, error) from error
    if answer.status_code in (401, 403):
        reason = "the credential is refused" if access.headers else "a credential is required"
        found = f"{access.name} at {access.url}: {reason} (HTTP {answer.status_code})"
        return Problem(access.location, found, "credential: {env: VARIABLE} or {file: FILE} that gives access")
    if 300 <= answer.status_code < 400:
        found = f"{access.name} at {access.url} redirects (HTTP {answer.status_code})"
        return Problem(access.location, found, "the URL of the server itself, not of a login page")
    if answer.status_code >= 500:
        raise BackendUnreachable(f"{access.name} at {access.url} answered {answer.status_code}", hint="is it healthy?")
    return None


def _unreachable(access: Access, error: Exception) -> BackendUnreachable:
    reason = str(error) or type(error).__name__
    message = f"{access.name} at {access.url} does not answer: {reason}"
    return BackendUnreachable(message, hint="is it up, and is the URL right?")
