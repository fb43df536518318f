"""An endpoint of an environment with its credential read: the headers to send, and the secrets to leave out of messages."""

from __future__ import annotations

import shlex
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import certifi

from tiercli.catalog.environment import Credential, Endpoint
from tiercli.catalog.tree import KeyPath
from tiercli.clients.credentials import authorization, read_secret, read_trust
from tiercli.errors import Location
from tiercli.faults.environment.secrets import secret_forms

Locate = Callable[[KeyPath], Location]


@dataclass(frozen=True, slots=True)
class OpenEndpoint:
    """`headers` authenticate tiercli; no message may contain one of `secrets`. `ca_file` names the certificates to trust."""

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
    """Read an endpoint's credential and certificates. Raises InvalidInput at `location`."""
    headers: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()
    if endpoint.credential is not None:
        secret = read_secret(endpoint.credential, folder, location)
        headers = authorization(endpoint.credential, secret)
        secrets = tuple(form for form in secret_forms(endpoint.credential, secret) if form)
    trust = read_trust(endpoint, folder, location)
    # The same authorities as httpx trusts, by which all other servers are asked.
    ca_file = str(folder / endpoint.ca_file) if endpoint.ca_file else certifi.where()
    return OpenEndpoint(headers, secrets, trust, ca_file, endpoint.credential)
