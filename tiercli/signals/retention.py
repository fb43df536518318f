"""How long Prometheus has to keep samples for what looks back at them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import promql_parser as p

from tiercli.signals.parsed import parse, walk

# Prometheus' default retention.
DEFAULT_RETENTION_S = 15 * 86_400
# A month to date needs the whole month, and time for somebody to look at it afterwards.
MONTH_S = 28 * 86_400
MONTH_NEEDS_S = 45 * 86_400


@lru_cache(maxsize=4096)
def reach_s(expr: str) -> float:
    """How far an expression looks back, seconds: its longest range and the offset at it."""
    reach = 0.0
    for node, _ in walk(parse(expr)):
        selectors = node if isinstance(node, p.MatrixSelector) else None
        selector = node.vector_selector if selectors is not None else node
        if isinstance(selector, p.VectorSelector):
            span_s = selectors.range.total_seconds() if selectors is not None else 0.0
            offset_s = selector.offset.total_seconds() if selector.offset is not None else 0.0
            reach = max(reach, span_s + max(0.0, offset_s))
    return reach


def needed_s(reaches: Iterable[float]) -> float:
    """The seconds that samples have to be kept for, by how far back is looked."""
    longest = max(reaches, default=0.0)
    return max(longest, MONTH_NEEDS_S) if longest >= MONTH_S else longest
