"""A running load: Locust's processes under a supervisor, the windows that they report, and the wait for the first call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from tiercli.catalog.model import Catalog
from tiercli.drills.load.locust import ALONE, LOCUST, Workers, locust_process, locust_with_workers, tail_windows
from tiercli.drills.load.plan import LoadWay, build_load_plan
from tiercli.drills.record.events import LoadWindow
from tiercli.drills.spec.model import Load
from tiercli.errors import BackendError
from tiercli.sidecar.supervisor import Supervisor

FIRST_CALL_WITHIN_S = 15.0
_ARRIVALS = 20  # of this many that are due, one is started


def first_call_within_s(load: Load) -> float:
    """How long the first call may take, seconds: Locust's start, and at a low rate the time of some calls."""
    return max(FIRST_CALL_WITHIN_S, _ARRIVALS / load.arrivals_per_second)


class RunningLoad:
    """An async context manager: Locust runs inside. `reader` is the task that reads what it reports; it fails where `on_window`
    does."""

    reader: asyncio.Task[None]

    def __init__(
        self,
        load: Load,
        catalog: Catalog,
        way: LoadWay,
        supervisor: Supervisor,
        folder: Path,
        *,
        factor: float,
        record: str = "load",
        process: str = LOCUST,
        seed: int = 1,
        workers: Workers = ALONE,
        port: int = 0,
        on_window: Callable[[LoadWindow], None] = lambda window: None,
    ) -> None:
        """`record`: the stem of its files in `folder`, its own there; `process`: its name at the supervisor; `port`: where workers
        find their master."""
        self._load, self._supervisor, self._on_window = load, supervisor, on_window
        self._windows = folder / f"{record}.jsonl"
        self._first_call = asyncio.Event()
        plan = build_load_plan(load, catalog, way=way, windows_file=self._windows, factor=factor, seed=seed)
        log = folder / f"{process}.log"
        master = locust_process(plan, folder / f"{record}.json", log, load.locustfile, process)
        self._processes = locust_with_workers(master, workers, port, log) if workers.count else [master]

    async def __aenter__(self) -> Self:
        self.reader = asyncio.create_task(self._read())
        try:
            for process in self._processes:
                await self._supervisor.start(process)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reader.cancel()
        await asyncio.gather(self.reader, return_exceptions=True)
        for process in reversed(self._processes):
            await self._supervisor.stop(process.name)

    async def wait_for_first_call(self, within_s: float | None = None) -> None:
        """Wait until Locust has started a call. Raises BackendError where it does not in time."""
        limit_s = first_call_within_s(self._load) if within_s is None else within_s
        with suppress(TimeoutError):
            await asyncio.wait_for(self._first_call.wait(), limit_s)
            return
        raise BackendError(f"no load arrived within {limit_s:g} s: Locust started no request")

    async def _read(self) -> None:
        async for window in tail_windows(self._windows):
            if window.started:
                self._first_call.set()
            self._on_window(window)
