"""The share of attempts that were slower than a threshold which itself moves: what a drill's floor is computed from."""

from __future__ import annotations

from itertools import pairwise

from tiercli.signals.contract import DURATION_BUCKETS

_OFFER = "provider, model, region"
_METRIC = "ai_gateway_request_duration_seconds"


def share_slower_than(threshold: str, window: str) -> str:
    """PromQL for the share of attempts within `window` that took longer than the series `threshold` says, per
    provider, model and region: from the two buckets around the threshold, wherever it is just then.

    A histogram does not say where in its bucket an attempt lies, so the mean of both is taken.
    """
    cases = []
    for low, high in pairwise((0.0, *DURATION_BUCKETS)):
        edges = "|".join(_edge(edge) for edge in (low, high) if edge)
        within = f"({threshold} >= {low:g} and {threshold} < {high:g})"
        faster = f'sum by ({_OFFER}) (rate({_METRIC}_bucket{{le=~"{edges}"}}[{window}]))'
        cases.append(f"({faster} and on ({_OFFER}) {within})")
    every = f"sum by ({_OFFER}) (rate({_METRIC}_count[{window}]))"
    return f"1 - ({' or '.join(cases)}) / 2 / {every}"


def _edge(edge: float) -> str:
    """`le` as exporters write it: "1" and "1.0" are the same bucket."""
    text = f"{edge:g}"
    return text.replace(".", "\\\\.") if "." in text else f"{text}(\\\\.0)?"
