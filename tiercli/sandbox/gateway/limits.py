"""What the simulated gateway holds calls back by: quotas, and cooldowns of candidates that fail again and again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from tiercli.sandbox.gateway.routing import Step
from tiercli.sandbox.plan import TENANT_CALLS_PER_10S, EstatePlan

FAILURES = 5  # in a row, before a cooldown


class Quota:
    """At most `limit` calls in a sliding window; `take` counts one. `clock` gives seconds."""

    def __init__(self, limit: int, window_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._taken: deque[float] = deque()

    def take(self) -> bool:
        """Count a call. False, and nothing is counted, if the quota is exhausted."""
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


class Quotas:
    """The quotas of one instance: of each tenant at each provider, and of each candidate. One exists from its first call on."""

    def __init__(self, plan: EstatePlan) -> None:
        self._tenant_calls, self._provider_calls = plan.tenant_calls_per_10s, plan.provider_calls_per_10s
        self._quota_of = plan.quota_of
        self._buckets: dict[tuple[str, ...], Quota] = {}
        self._offers: dict[tuple[str, ...], Quota] = {}

    def take(self, tenant: str, step: Step) -> bool:
        """Count a call of `tenant` at a candidate. False if one of the two quotas is exhausted."""
        limit = self._tenant_calls if self._quota_of in (None, tenant) else TENANT_CALLS_PER_10S
        bucket = self._buckets.setdefault((tenant, step.candidate.provider), Quota(limit))
        offer = self._offers.setdefault(step.offer, Quota(self._provider_calls))
        return bucket.take() and offer.take()

    def fill_ratios(self) -> dict[tuple[str, ...], float]:
        """Used over limit by tenant and provider."""
        return {key: quota.fill_ratio() for key, quota in self._buckets.items()}

    def headroom_ratios(self) -> dict[tuple[str, ...], float]:
        """What is left by provider, model and region."""
        return {key: quota.headroom_ratio() for key, quota in self._offers.items()}


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
        """An attempt has ended."""
        if not self._seconds:
            return
        if not failed:
            self._failures[candidate] = 0
            self._until.pop(candidate, None)
            return
        self._failures[candidate] = self._failures.get(candidate, 0) + 1
        if self._failures[candidate] >= FAILURES:
            self._until[candidate] = self._clock() + self._seconds
