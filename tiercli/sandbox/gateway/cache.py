"""The exact cache of the simulated gateway: answers to the same request of the same tenant, while they are fresh.

Only requests that are repeatable are looked up (temperature 0, not streamed), as gateways do.
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
    """An answer: its body, and the region that served it."""

    body: bytes
    served_region: str
    until: float


class ExactCache:
    """Answers by tenant and request; the oldest is dropped first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, CachedAnswer] = OrderedDict()

    def key(self, tenant: str, body: Mapping[str, Any]) -> bytes | None:
        """The key of a call; None if its answer is not repeatable. Tenants share no answers."""
        if body.get("stream") is True or body.get("temperature") != 0:
            return None
        question = {name: value for name, value in body.items() if name not in ("metadata", "user")}
        return hashlib.sha256(json.dumps([tenant, question], sort_keys=True).encode()).digest()

    def get(self, key: bytes) -> CachedAnswer | None:
        """The answer, if it is fresh."""
        answer = self._answers.get(key)
        return answer if answer is not None and answer.until >= time.monotonic() else None

    def put(self, key: bytes, body: bytes, served_region: str) -> None:
        """Keep an answer."""
        self._answers[key] = CachedAnswer(body, served_region, time.monotonic() + _FRESH_S)
        self._answers.move_to_end(key)
        if len(self._answers) > _MOST_ANSWERS:
            self._answers.popitem(last=False)
