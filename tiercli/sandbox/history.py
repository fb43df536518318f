"""A past for the sandbox: the recorded series that baselines average, as if the estate had been normal all along.

Recorded series, not raw counters: a rate over samples as far apart as a backfill's would be empty.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tiercli.catalog.model import Catalog
from tiercli.signals.timing import Timing

BASELINE_WINDOW = "6h"
BASELINE_OFFSET = "15m"
_NOISE = 0.03
# Samples need not be as dense as evaluations: an average is the same, and the backfill is shorter.
_SAMPLES = 400


def history_openmetrics(catalog: Catalog, timing: Timing, until: float) -> str:
    """OpenMetrics text of the baselines' inputs over the baseline window before `until` (Unix seconds).

    Values are the catalog's `typical` with a little noise, the same for the same catalog. Runs are compressed, so the
    window is `timing`'s.
    """
    span_s = timing.window_s(BASELINE_WINDOW) + timing.window_s(BASELINE_OFFSET)
    step_s = max(timing.evaluation_s, span_s / _SAMPLES)
    times = [until - span_s + step_s * number for number in range(int(span_s / step_s) + 1)]
    lines: list[str] = []
    for metric, key in (
        ("tier:provider:latency_seconds:p95_5m:normal", "p95_seconds"),
        ("tier:provider:error_ratio:rate5m:normal", "error_ratio"),
    ):
        lines.append(f"# TYPE {metric} gauge")
        lines += _series(catalog, metric, key, times)
    return "\n".join([*lines, "# EOF", ""])


def _series(catalog: Catalog, metric: str, key: str, times: list[float]) -> Iterator[str]:
    noise = random.Random(metric)  # noqa: S311 - noise, not a secret
    for offer in catalog.offers():
        typical = catalog.providers[offer.provider].regions[offer.region].typical
        normal = getattr(typical, key)
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in offer._asdict().items())
        for at in times:
            yield f"{metric}{{{labels}}} {normal * noise.gauss(1, _NOISE):.6g} {at:.3f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
