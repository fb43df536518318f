"""The secrets of an environment, which no message may contain, whoever writes it: an operator's command inherits all that tiercli
knows."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from tiercli.catalog.environment import Credential, Environment

# A shorter text occurs in ordinary words and numbers: to take it out there would spoil the message, and the gaps would give it
# away. Nor does it keep anybody out.
SHORTEST = 4


def secrets_of(environment: Environment, folder: Path, variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The secrets of all credentials that an environment names (servers, endpoints, injectors, tenants) in every form that a
    message could repeat. `folder` is the catalog's. A secret that is missing or below SHORTEST is left out."""
    forms = (
        form
        for credential in _credentials(environment)
        for form in secret_forms(credential, _read(credential, folder, variables))
    )
    return tuple(dict.fromkeys(form for form in forms if len(form) >= SHORTEST))


def secret_forms(credential: Credential, secret: str) -> Iterator[str]:
    """Every form of a secret that a server or a command could repeat, the secret itself first."""
    yield secret
    if credential.scheme == "basic":
        yield base64.b64encode(secret.encode(errors="replace")).decode()
        yield secret.partition(":")[2]


def _credentials(part: object) -> Iterator[Credential]:
    if isinstance(part, Credential):
        yield part
        return
    parts: list[object] = []
    if isinstance(part, BaseModel):
        parts = [getattr(part, name) for name in type(part).model_fields]
    elif isinstance(part, Mapping):
        parts = list(part.values())
    elif isinstance(part, (list, tuple)):
        parts = list(part)
    for inner in parts:
        yield from _credentials(inner)


def _read(credential: Credential, folder: Path, variables: Mapping[str, str]) -> str:
    """The secret, "" where it is missing. Less strict than where it is used: even a malformed credential may be a secret."""
    if credential.env is not None:
        return variables.get(credential.env, "").strip()
    try:
        return (folder / str(credential.file)).read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return ""
