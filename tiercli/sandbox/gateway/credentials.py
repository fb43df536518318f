"""The credentials that the simulated gateway hands out: one for each provider, new every few seconds."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

_LIFETIME_S = 5.0


class Credentials:
    """Short-lived bearer tokens. Simulated providers take any; `issued` is told the provider of each new one."""

    def __init__(self, issued: Callable[[str], None]) -> None:
        self._issued = issued
        self._current: dict[str, tuple[str, float]] = {}

    def header(self, provider: str) -> str:
        """The Authorization header of a call to `provider`, with a token that has not expired."""
        token, until = self._current.get(provider, ("", 0.0))
        now = time.monotonic()
        if now >= until:
            token = secrets.token_urlsafe(16)
            self._current[provider] = (token, now + _LIFETIME_S)
            self._issued(provider)
        return f"Bearer {token}"
