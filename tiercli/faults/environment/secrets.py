"""What of an environment must not be said, whoever says it: a command of the operator's inherits all that tiercli knows."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from tiercli.catalog.environment import Credential, Environment

# A shorter text stands in ordinary words and numbers: to take it out there would spoil what is said, and the gaps would tell what
# it is. Nor does it keep anybody out.
SHORTEST = 4


def secrets_of(environment: Environment, folder: Path, variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The secrets of all credentials that an environment names, its servers', endpoints', injectors' and tenants', in every form
    that could be repeated. `folder` is the catalog's. A secret that is not there is left out, and so is one below SHORTEST."""
    found = (form for one in _credentials(environment) for form in _forms(one, _read(one, folder, variables)))
    return tuple(dict.fromkeys(form for form in found if len(form) >= SHORTEST))


def _credentials(part: object) -> Iterator[Credential]:
    if isinstance(part, Credential):
        yield part
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _credentials(getattr(part, name))
    elif isinstance(part, Mapping):
        for one in part.values():
            yield from _credentials(one)
    elif isinstance(part, (list, tuple)):
        for one in part:
            yield from _credentials(one)


def _read(credential: Credential, folder: Path, variables: Mapping[str, str]) -> str:
    """The secret, "" where there is none. Not as strict as where it is used: what is no credential may be a secret all the same."""
    if credential.env is not None:
        return variables.get(credential.env, "").strip()
    try:
        return (folder / str(credential.file)).read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return ""


def _forms(credential: Credential, secret: str) -> Iterator[str]:
    yield secret
    if credential.scheme == "basic":
        yield base64.b64encode(secret.encode(errors="replace")).decode()
        yield secret.partition(":")[2]
