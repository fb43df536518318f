"""Latencies as they occur: a lognormal distribution, given by its median and its 95th percentile."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

_Z95 = 1.6448536269514722  # the 95th percentile of the standard normal distribution


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Seconds with median `p50` and 95th percentile `p95`. Equal: always that. Raises ValueError where p95 < p50."""

    p50: float
    p95: float

    def __post_init__(self) -> None:
        if not 0 < self.p50 <= self.p95 < math.inf:
            raise ValueError(f"a median of {self.p50:g} s and a 95th percentile of {self.p95:g} s are no distribution")

    @property
    def mean(self) -> float:
        """The mean latency, seconds: exp(mu + sigma^2 / 2)."""
        return self.p50 * math.exp(self._sigma**2 / 2)

    def draw(self, source: random.Random) -> float:
        """One latency, seconds."""
        return self.p50 * math.exp(source.gauss(0, 1) * self._sigma)

    @property
    def _sigma(self) -> float:
        return math.log(self.p95 / self.p50) / _Z95
