"""An endpoint of an environment with its credential read: what goes over the wire, and what is said in its place."""

from __future__ import annotations

import base64
import binascii
import shlex
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import certifi

from tiercli.catalog.environment import Credential, Endpoint
from tiercli.catalog.tree import KeyPath
from tiercli.clients.credentials import read_headers, read_trust
from tiercli.errors import Location

Locate = Callable[[KeyPath], Location]


@dataclass(frozen=True, slots=True)
class OpenEndpoint:
    """`headers` let tiercli in; `secrets` are what of them must not be said. `ca_file` names the certificates to trust."""

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    trust: ssl.SSLContext | bool
    ca_file: str
    credential: Credential | None

    def curl(self, method: str, url: str, body: str | None = None) -> str:
        """A command line for this request; it reads the credential from where the catalog says that it is."""
        parts = ["curl", "-X", method]
        if body is not None:
            parts += ["-H", shlex.quote("Content-Type: application/json"), "-d", shlex.quote(body)]
        if self.credential is not None:
            secret = f"${self.credential.env}" if self.credential.env else f"$(cat {self.credential.file})"
            basic = self.credential.scheme == "basic"
            parts.append(f'-u "{secret}"' if basic else f'-H "Authorization: Bearer {secret}"')
        return " ".join([*parts, shlex.quote(url)])


def open_endpoint(endpoint: Endpoint, folder: Path, location: Location) -> OpenEndpoint:
    """Read what an endpoint needs. Raises InvalidInput at `location`."""
    headers, trust = read_headers(endpoint, folder, location), read_trust(endpoint, folder, location)
    # httpx, which asks all other servers, trusts certifi's authorities.
    ca_file = str(folder / endpoint.ca_file) if endpoint.ca_file else certifi.where()
    return OpenEndpoint(headers, _secrets(headers), trust, ca_file, endpoint.credential)


def _secrets(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Every form of a credential that a server could repeat."""
    scheme, _, secret = headers.get("Authorization", "").partition(" ")
    if not secret:
        return ()
    if scheme != "Basic":
        return (secret,)
    try:
        pair = base64.b64decode(secret).decode()
    except (binascii.Error, UnicodeDecodeError):
        return (secret,)
    return tuple(part for part in (secret, pair, pair.partition(":")[2]) if part)
