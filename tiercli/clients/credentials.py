"""Credentials of an environment's servers, read from a variable or a file, as headers. Never printed."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from tiercli.catalog.environment import Credential, Endpoint
from tiercli.errors import InvalidInput, Location, Problem


def read_headers(endpoint: Endpoint, folder: Path, location: Location) -> dict[str, str]:
    """The Authorization header for a server, or none. Files lie below `folder`. Raises InvalidInput at `location` where the
    secret is missing or malformed."""
    if endpoint.credential is None:
        return {}
    return authorization(endpoint.credential, read_secret(endpoint.credential, folder, location))


def authorization(credential: Credential, secret: str) -> dict[str, str]:
    """The Authorization header of a secret."""
    if credential.scheme == "basic":
        return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
    return {"Authorization": f"Bearer {secret}"}


def read_trust(endpoint: Endpoint, folder: Path, location: Location) -> ssl.SSLContext | bool:
    """How to check a server's certificate: by the usual authorities, or those of the catalog's file. Raises InvalidInput
    where the file has none."""
    return read_certificates(None if endpoint.ca_file is None else folder / endpoint.ca_file, location)


def read_certificates(path: Path | None, location: Location | None = None) -> ssl.SSLContext | bool:
    """Trust in the certificates of a file; without a file, in the usual authorities. Raises InvalidInput at `location`, by default
    the file."""
    if path is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(path))
    except OSError as error:  # ssl.SSLError is one
        reason = f"{path}: {error.strerror or error}"
        problem = Problem(location or Location(str(path)), reason, "a file of certificates in PEM")
        raise InvalidInput(f"{path} has no certificate to trust", [problem]) from error


def read_secret(
    credential: Credential, folder: Path, location: Location, environment: Mapping[str, str] = os.environ
) -> str:
    """The secret itself. Raises as read_headers."""
    if credential.env is not None:
        text, place = environment.get(credential.env, ""), f"the environment variable {credential.env}"
        missing = f"{place} is not set, or is empty"
    else:
        path = folder / str(credential.file)
        place, missing = str(path), f"{path} is empty"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            problem = Problem(location, f"{path}: {reason}", "a file with a secret")
            raise InvalidInput("no credential", [problem]) from error
    secret = text.strip()
    if not secret:
        raise InvalidInput("no credential", [Problem(location, missing, "the secret")])
    if not secret.isascii() or not secret.isprintable() or (credential.scheme == "bearer" and " " in secret):
        raise InvalidInput(
            "malformed credential", [Problem(location, f"more than a secret is in {place}", "one line of ASCII")]
        )
    if credential.scheme == "basic" and ":" not in secret:
        raise InvalidInput("malformed credential", [Problem(location, f"{place} has no colon", "user:password")])
    return secret
