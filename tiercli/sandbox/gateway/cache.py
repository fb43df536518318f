"""The exact cache of the simulated gateway: the same question of the same tenant, asked again while its answer is fresh.

Only what asks to be repeatable is looked up (temperature 0, not streamed), as gateways do it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FRESH_S = 60.0
_MOST_ANSWERS = 1000


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer as it was given: its body, and the region that served it."""

    body: bytes
    served_region: str
    until: float


class ExactCache:
    """Answers by tenant, alias and question; the oldest goes first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, CachedAnswer] = OrderedDict()

    def key(self, tenant: str, body: Mapping[str, Any]) -> bytes | None:
        """What a call is looked up by; None where it does not ask to be repeatable. Tenants share no answers."""
        if body.get("stream") is True or body.get("temperature") != 0:
            return None
        asked = {name: value for name, value in body.items() if name not in ("metadata", "user")}
        return hashlib.sha256(json.dumps([tenant, asked], sort_keys=True).encode()).digest()

    def get(self, key: bytes) -> CachedAnswer | None:
        """The answer, where there is one that is fresh."""
        found = self._answers.get(key)
        if found is None or found.until < time.monotonic():
            return None
        return found

    def put(self, key: bytes, body: bytes, served_region: str) -> None:
        """Keep an answer."""
        self._answers[key] = CachedAnswer(body, served_region, time.monotonic() + _FRESH_S)
        self._answers.move_to_end(key)
        if len(self._answers) > _MOST_ANSWERS:
            self._answers.popitem(last=False)
