"""The load of one run: Locust started on its plan, and ended with the run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tiercli.drills.load.locust import locust_process, locust_with_workers
from tiercli.drills.load.plan import build_load_plan
from tiercli.drills.run.order import DrillOrder
from tiercli.drills.sites.interface import DrillSite
from tiercli.drills.spec.model import Load

_LOAD_WITHIN_S = 15.0
_ARRIVALS = 20  # of so many that are due, one comes
WORKERS_WITHIN_S = 120.0  # somebody has to start them


@asynccontextmanager
async def load_on(order: DrillOrder, site: DrillSite, run: str) -> AsyncIterator[Path]:
    """The load is on inside; where Locust writes its windows. Raises BackendError where it cannot be started."""
    windows = site.folder / f"load-{run}.jsonl"
    plan = build_load_plan(
        order.spec.load,
        order.estate.loaded.catalog,
        way=site.load_way,
        windows_file=windows,
        factor=order.estate.timing.factor,
    )
    log = site.folder / "locust.log"
    processes = [locust_process(plan, site.folder / "load.json", log, order.spec.load.locustfile)]
    if order.workers.count:
        processes = locust_with_workers(processes[0], order.workers, site.load_port, log)
    started = []
    try:
        for one in processes:
            await site.supervisor.start(one)
            started.append(one)
        yield windows
    finally:
        for one in reversed(started):
            await site.supervisor.stop(one.name)


def load_within_s(load: Load) -> float:
    """How long the first call may take, seconds: Locust's start, and at a low rate some calls' time more."""
    return max(_LOAD_WITHIN_S, _ARRIVALS / load.arrivals_per_second)


def waiting_for(order: DrillOrder, site: DrillSite) -> tuple[str, float]:
    """What to say while the load is waited for, and for how long to wait, seconds."""
    workers = order.workers
    if not workers.elsewhere:
        return "waiting for the load", load_within_s(order.spec.load)
    place = f"{workers.host}:{workers.port or site.load_port}"
    return f"waiting for {workers.elsewhere} workers at {place}: tiercli drill worker there", WORKERS_WITHIN_S
