"""Where Grafana's token comes from. It is never printed."""

from __future__ import annotations

import os
from pathlib import Path

from tiercli.errors import InvalidInput, Location, Problem

VARIABLE = "TIERCLI_GRAFANA_TOKEN"


def read_token(file: Path | None) -> str:
    """The token in `file`, or else in the environment; "" for none. Raises InvalidInput for what cannot be a token."""
    place = VARIABLE if file is None else str(file)
    try:
        text = os.environ.get(VARIABLE, "") if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = (getattr(error, "strerror", None) or "not text").lower()
        raise InvalidInput(
            f"no token from {file}", [Problem(Location(str(file)), message, "a file with a token")]
        ) from error
    token = text.strip()
    if file is not None and not token:
        raise InvalidInput(f"no token from {file}", [Problem(Location(place), "it is empty", "a token")])
    if not token.isascii() or any(char.isspace() or not char.isprintable() for char in token):
        accepted = "one token: printable ASCII without spaces"
        raise InvalidInput("not a token", [Problem(Location(place), "it holds more than a token", accepted)])
    return token
