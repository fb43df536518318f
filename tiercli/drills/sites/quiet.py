"""When a drill may begin: every target was scraped, and nothing is pending or firing that would disturb it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping

from tiercli.clients.prometheus import PrometheusClient
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, SEVERITY_LABEL, WATCHDOG
from tiercli.errors import BackendError

# How long quiet is waited for, real seconds: after a start, and in a sandbox that others used before, where what they left behind
# has to end first.
WARM_UP_S = 15.0
SETTLE_S = 120.0


async def wait_until_quiet(
    prometheus: PrometheusClient, limit_s: float, expected: Collection[str] | None = None
) -> None:
    """Wait until every target was scraped and nothing is pending any more, no longer than `limit_s`. With `expected`, in a sandbox
    that others used before: nothing that would interrupt anybody, and nothing that is expected. Trends look back for hours;
    one that began before is the others'.

    Prometheus finds its targets up to 5 real seconds after it starts and evaluates rules before that, so rules that look for
    something missing are true for a moment: minutes of compressed time. What stays is judged.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        await asyncio.sleep(0.2)
        try:
            down = await prometheus.query("up == 0")
            up = await prometheus.query("up == 1")
            quiet = all(_background(alert.labels, expected) for alert in await prometheus.alerts())
        except BackendError:
            continue
        if up and not down and quiet:
            return


def _background(labels: Mapping[str, str], expected: Collection[str] | None) -> bool:
    name = labels.get("alertname", "")
    trend = expected is not None and labels.get(SEVERITY_LABEL) == "trend" and name not in expected
    return name == WATCHDOG or trend


def is_ours(labels: Mapping[str, str], estate: str, env: str) -> bool:
    """Whether an alert is one of tiercli's own, of this estate and environment."""
    return labels.get(ESTATE_LABEL) == estate and labels.get(ENV_LABEL) == env
