"""Whether what Prometheus recorded is whole: the same server throughout, a clock that agrees with ours, no scrape missing.

A drill in which one of these does not hold proves nothing, whatever fired.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.prometheus import PrometheusClient, Series
from tiercli.conventions import GATEWAY_JOB, SERVERS_JOB
from tiercli.drills.spec.model import DrillSpec
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.signals.promql import selector

# What may be off between two clocks: times of the two are compared by the second.
MOST_SKEW_S = 1.0
_MISSED_SCRAPES = 3.5
# A sandbox that has the machine to itself answers within a tenth of the time between two scrapes. Once is chance.
_LATE_SCRAPE, _LATE_SCRAPES = 0.5, 3


@dataclass(frozen=True, slots=True)
class Clock:
    """Prometheus' clock against ours: how far it is ahead, and how far that may be wrong, seconds."""

    ahead_s: float
    within_s: float

    def problem(self) -> str | None:
        """What to say of it, None where it agrees."""
        if abs(self.ahead_s) - self.within_s <= MOST_SKEW_S:
            return None
        way = "ahead of" if self.ahead_s > 0 else "behind"
        return f"Prometheus' clock is {abs(self.ahead_s):.1f} s {way} this machine's: no time between the two can be measured"


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers as they were found: when each was started (its own clock, Unix seconds), and Prometheus' clock."""

    prometheus_started_at: float
    alertmanager_started_at: float
    clock: Clock


async def read_servers(prometheus: PrometheusClient, alertmanager: AlertmanagerClient) -> Servers:
    """The servers as they are now. Raises BackendError."""
    return Servers(await prometheus.started_at(), await alertmanager.started_at(), await read_clock(prometheus))


async def what_is_doubtful(
    prometheus: PrometheusClient,
    alertmanager: AlertmanagerClient,
    spec: DrillSpec,
    reports_exits: bool,
    before: Servers,
    between: tuple[float, float],
    scrape_s: float,
) -> list[str]:
    """Everything that makes the record no proof. `before`: the servers when the run began; `between`: the phases, Unix seconds.
    Raises BackendError."""
    now = await read_servers(prometheus, alertmanager)
    doubts = []
    if abs(now.prometheus_started_at - before.prometheus_started_at) > MOST_SKEW_S:
        doubts.append("Prometheus was restarted during the run: what was pending began anew")
    if abs(now.alertmanager_started_at - before.alertmanager_started_at) > MOST_SKEW_S:
        doubts.append("Alertmanager was restarted during the run: it may have lost what it had sent and counted")
    doubts += [message for servers in (before, now) if (message := servers.clock.problem())][:1]
    begin, end = (at + now.clock.ahead_s for at in between)
    return doubts + await read_gaps(prometheus, spec, reports_exits, begin, end, scrape_s)


async def read_clock(client: PrometheusClient) -> Clock:
    """Ask for the time there, the quickest of three answers. Raises BackendError."""
    answers = []
    for _ in range(3):
        sent_at = time.time()
        server_time = await client.clock()
        answered = time.time()
        answers.append(Clock(server_time - (sent_at + answered) / 2, (answered - sent_at) / 2))
    return min(answers, key=lambda clock: clock.within_s)


async def read_gaps(
    client: PrometheusClient, spec: DrillSpec, reports_exits: bool, begin: float, end: float, scrape_s: float
) -> list[str]:
    """What is missing of the estate's scrapes between two times (Unix seconds). A target that could not be scraped counts too,
    unless the site reports the end of its processes or the drill itself takes targets away. Raises BackendError."""
    gone_by_fault = reports_exits or any(_takes_targets(use.fault, use.target) for use in spec.faults)
    gaps = []
    for job in (GATEWAY_JOB, SERVERS_JOB):
        series = await client.raw_samples(selector("up", {"job": job}), end - begin, end)
        if not series and job == GATEWAY_JOB:
            gaps.append(f"nothing of the job {job} was scraped: what the gateway did is not known")
        gaps += [message for target in series if (message := _gap(target, begin, end, scrape_s, gone_by_fault))]
    return gaps


async def read_starved(
    client: PrometheusClient, spec: DrillSpec, begin: float, end: float, scrape_s: float
) -> list[str]:
    """Targets of a sandbox that did not answer scrapes between two times (Unix seconds), or the gateway's where it answered late again
    and again, though no fault takes targets away: the machine had no time for them. Raises BackendError."""
    if any(_takes_targets(use.fault, use.target) for use in spec.faults):
        return []
    found = {}
    durations = selector("scrape_duration_seconds", {"job": GATEWAY_JOB})
    for series in await client.raw_samples(durations, end - begin, end):
        late = [seconds for _, seconds in series.points if seconds > _LATE_SCRAPE * scrape_s]
        if len(late) >= _LATE_SCRAPES:
            found[_target(series)] = (
                f"answered {len(late)} scrapes late, by up to {max(late):.2f} s of {scrape_s:.2f} s between two"
            )
    for series in await client.raw_samples('up{job=~"tiercli-.*"}', end - begin, end):
        silent = _longest([begin, *(at for at, value in series.points if value > 0), end])
        if silent > _MISSED_SCRAPES * scrape_s:
            found[_target(series)] = f"did not answer scrapes for {silent:.1f} s"
    return [f"{target} {what}: this machine is too busy for the drill" for target, what in found.items()]


def _target(series: Series) -> str:
    return f"{series.labels.get('instance', 'a target')} of {series.labels.get('job')}"


def _takes_targets(fault: str, target: Mapping[str, str]) -> bool:
    kind = FAULTS_BY_NAME.get(fault)
    return kind is not None and (kind.injector == "process" or "scrape" in target)


def _gap(series: Series, begin: float, end: float, scrape_s: float, may_be_down: bool) -> str | None:
    instance = series.labels.get("instance", "a target")
    longest = _longest([begin, *(at for at, _ in series.points), end])
    if longest > _MISSED_SCRAPES * scrape_s + MOST_SKEW_S:
        return f"{instance} was not scraped for {longest:.1f} s: what it did then is not known"
    up = [at for at, value in series.points if value > 0]
    if not may_be_down and (down := _longest([begin, *up, end])) > _MISSED_SCRAPES * scrape_s + MOST_SKEW_S:
        return f"{instance} did not answer scrapes for {down:.1f} s: what it did then is not known"
    return None


def _longest(times: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in pairwise(times)), default=0.0)
