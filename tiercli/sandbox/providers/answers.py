"""How long the answers of simulated models are, and how long they take: by formula, so that normal values are known before
anything has run."""

from __future__ import annotations

import functools
import hashlib
import random

from tiercli.faults.kinds.latencies import Lognormal
from tiercli.sandbox.plan import Endpoint

_MEAN_TOKENS = (60, 420)
_DRAWS = 4000


def count_tokens(prompt: str) -> int:
    """Tokens of a prompt, by the rule of thumb of four characters a token."""
    return max(1, len(prompt) // 4)


def usual_output_tokens(alias: str, feature: str) -> int:
    """The median length of answers, by alias and feature: always the same for the same two names."""
    least, most = _MEAN_TOKENS
    digest = hashlib.sha256(f"{alias}\0{feature}".encode()).digest()
    return least + int.from_bytes(digest[:4]) % (most - least)


def draw_output_tokens(median: int, limit: int, source: random.Random) -> int:
    """The length of one answer of at most `limit` tokens."""
    drawn = max(1, round(Lognormal(median, 2 * median).draw(source)))
    return max(1, min(drawn, limit))


@functools.cache
def mean_output_tokens(median: int, limit: int) -> float:
    """The mean of draw_output_tokens, by drawing: there is no closed form for a distribution that is cut off."""
    source = random.Random(median)  # noqa: S311 - a simulation
    return sum(draw_output_tokens(median, limit, source) for _ in range(_DRAWS)) / _DRAWS


def mean_seconds(endpoint: Endpoint) -> float:
    """The mean duration of an answer."""
    return Lognormal(endpoint.p50_seconds, endpoint.p95_seconds).mean
