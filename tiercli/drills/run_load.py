"""The load of one run: Locust started on its plan, and ended with the run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tiercli.drills.load_plan import build_load_plan
from tiercli.drills.load_process import locust_process, locust_with_workers
from tiercli.drills.order import DrillOrder
from tiercli.drills.site import DrillSite

LOAD_WITHIN_S = 15.0
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
            await site.warden.start(one)
            started.append(one)
        yield windows
    finally:
        for one in reversed(started):
            await site.warden.stop(one.name)


def waiting_for(order: DrillOrder, site: DrillSite) -> tuple[str, float]:
    """What to say while the load is waited for, and for how long to wait, seconds."""
    workers = order.workers
    if not workers.elsewhere:
        return "waiting for the load", LOAD_WITHIN_S
    place = f"{workers.host}:{workers.port or site.load_port}"
    return f"waiting for {workers.elsewhere} workers at {place}: tiercli drill worker there", WORKERS_WITHIN_S
