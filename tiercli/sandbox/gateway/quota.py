"""Quotas that the simulated gateway enforces: so many calls in any ten seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Quota:
    """At most `limit` calls in a sliding window; `take` counts one. `clock` gives seconds."""

    def __init__(self, limit: int, window_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._taken: deque[float] = deque()

    def take(self) -> bool:
        """Count a call; False, and nothing counted, where the quota is exhausted."""
        if self.fill_ratio() >= 1:
            return False
        self._taken.append(self._clock())
        return True

    def fill_ratio(self) -> float:
        """Used over limit; 1 is exhausted."""
        oldest = self._clock() - self._window_s
        while self._taken and self._taken[0] <= oldest:
            self._taken.popleft()
        return len(self._taken) / self._limit

    def headroom_ratio(self) -> float:
        """What is left, 0 to 1."""
        return 1 - self.fill_ratio()
