"""The token of the proxy's control API: from a file, from a variable, or made for this run. Never printed."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tiercli.errors import InvalidInput, Location, Problem

TOKEN_VARIABLE = "TIERCLI_PROXY_TOKEN"  # noqa: S105 - where it is, not what it is


@dataclass(frozen=True, slots=True)
class ControlToken:
    """A token. `file`: where it can be read; None if it is only in the variable."""

    secret: str
    file: Path | None

    def __repr__(self) -> str:
        return f"ControlToken(file={self.file})"


@contextmanager
def control_token(file: Path | None, environment: Mapping[str, str]) -> Iterator[ControlToken]:
    """The token of `file`, else of the environment; else a new one, in a file that only its owner can read and that is
    removed at the end. Raises InvalidInput if the file or the variable holds no token."""
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise InvalidInput(f"cannot read the token in {file}: {reason}") from error
        yield ControlToken(_checked(text, str(file)), file)
    elif environment.get(TOKEN_VARIABLE):
        yield ControlToken(_checked(environment[TOKEN_VARIABLE], TOKEN_VARIABLE), None)
    else:
        folder = Path(tempfile.mkdtemp(prefix="tiercli-proxy-"))  # it makes it 0700
        try:
            made = secrets.token_urlsafe(32)
            with os.fdopen(os.open(folder / "token", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(made)
            yield ControlToken(made, folder / "token")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _checked(text: str, place: str) -> str:
    token = text.strip()
    if not token:
        raise InvalidInput("there is no token", [Problem(Location(place), "it is empty", "a token")])
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("this is not a token", [Problem(Location(place), "more than a token", "one word of ASCII")])
    return token
