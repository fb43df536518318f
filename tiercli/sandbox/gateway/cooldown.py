"""Candidates that the simulated gateway leaves out for a while, because they fail again and again: many gateways do so."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 5  # in a row


class Cooldown:
    """Which candidates are left out. After `seconds` a candidate is tried again, and left out again at its next failure.
    `seconds` 0: none ever is. `clock` gives seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def leaves_out(self, candidate: str) -> bool:
        """Whether it is not to be tried now."""
        return self._until.get(candidate, 0.0) > self._clock()

    def note(self, candidate: str, *, failed: bool) -> None:
        """What came of an attempt."""
        if not self._seconds:
            return
        if not failed:
            self._failures[candidate] = 0
            self._until.pop(candidate, None)
            return
        self._failures[candidate] = self._failures.get(candidate, 0) + 1
        if self._failures[candidate] >= FAILURES:
            self._until[candidate] = self._clock() + self._seconds
