"""Running a drill: start, load, phases, faults, observation; then the verdict and its files."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn

from tiercli.clients.prometheus import PrometheusClient
from tiercli.drills.judge.notifications import notified
from tiercli.drills.judge.verdict import judge
from tiercli.drills.load.locust import WORKER
from tiercli.drills.load.running import RunningLoad
from tiercli.drills.record.events import (
    Aborted,
    BackendLost,
    Event,
    Interrupted,
    LoadWindow,
    PhaseStarted,
    RunEnded,
    SpendBound,
    Starved,
    Unsound,
    WorkerLost,
)
from tiercli.drills.record.run_folder import TIMELINE, disk_error, make_run_folder, write_files
from tiercli.drills.record.timeline_file import TimelineWriter
from tiercli.drills.run.faults import applied_fault, renewed_leases
from tiercli.drills.run.files import result_files
from tiercli.drills.run.opening import opening_events, too_early
from tiercli.drills.run.readings import read_panels, read_samples
from tiercli.drills.run.request import DrillRun, RunRequest, View
from tiercli.drills.run.settling import all_resolved
from tiercli.drills.run.stopping import Stopped, StopSignal, signals_stop
from tiercli.drills.run.watchers import error_share, watch_alertmanager, watch_prometheus
from tiercli.drills.sites.continuity import Servers, read_servers, read_starved, what_is_doubtful
from tiercli.drills.sites.interface import DrillSite
from tiercli.drills.sites.sandbox import DrillSandbox
from tiercli.drills.spec.model import FaultUse
from tiercli.durations import parse_duration
from tiercli.errors import BackendError, FaultNotReverted, TiercliError
from tiercli.sandbox.receiver import Notification

_READ_WITHIN_S = 10.0
_WORKERS_WITHIN_S = 120.0  # somebody has to start them


async def run_drill(request: RunRequest, view: View, shared: DrillSite | None = None) -> DrillRun:
    """Run a drill, in a sandbox of its own or at a `shared` site, which is started where it is not yet. Ctrl-C and SIGTERM stop
    it: faults are cleared, the report is written.

    Raises BackendError when the run's folder cannot be made; everything later is in the result.
    """
    folder = make_run_folder(request.runs, request.spec.name)
    stream = (folder / TIMELINE).open("w", encoding="utf-8")
    run = _Run(request, folder, TimelineWriter(stream), view, shared)
    try:
        with signals_stop(run.stop, Interrupted):
            await run.drive()
        timeline = run.writer.timeline()
        view.say("writing the report")
        # In threads: another run may be under way in this event loop, and must not be looked away from.
        result = await asyncio.to_thread(judge, request.spec, timeline)
        try:
            write_files(folder, await asyncio.to_thread(result_files, request.spec, result, timeline))
        except BackendError as error:
            run.error = run.error or error
    finally:
        with contextlib.suppress(OSError):  # a full disk refuses the last flush too, and was reported already
            stream.close()
    return DrillRun(folder, result, run.error)


class _Run:
    """One run while it lasts."""

    def __init__(
        self, request: RunRequest, folder: Path, writer: TimelineWriter, view: View, shared: DrillSite | None
    ) -> None:
        self.shared = shared
        self.request = request
        self.folder = folder
        self.writer = writer
        self.view = view
        self.stop = StopSignal()
        self.error: BackendError | FaultNotReverted | None = None
        self._error_share = error_share(request.spec, shared.load_way if shared is not None else None)
        self._others_before = False
        self._workers = 0
        self._spending = shared.spending if shared is not None else None

    def observe(self, event: Event) -> None:
        """Note an event; a disk that refuses it stops the run."""
        try:
            self.writer.append(event)
        except OSError as error:
            self.error = self.error or disk_error(error, self.folder)
            self.stop.set(BackendLost(at=time.time(), name="the run's folder", reason=self.error.message))
        self.view.show(event)

    async def drive(self) -> None:
        """The whole run. Nothing is raised: what went wrong is in the timeline and in `error`."""
        try:
            async with AsyncExitStack() as stack:
                try:
                    await self._drive_in(stack)
                except Stopped as stopped:
                    self.observe(stopped.event)
                if self.shared is None:
                    self.view.say("stopping the sandbox")
        except FaultNotReverted as error:
            self.error = error
        except TiercliError as error:
            # Whatever was wrong with what was asked was looked for before; what changed since is the environment's doing.
            problems = "; ".join(map(str, getattr(error, "problems", ())))
            message = " ".join(filter(None, (error.message, problems, error.hint)))
            self.error = self.error or (error if isinstance(error, BackendError) else BackendError(message))
            name = "the sandbox" if self.shared is None else "the environment"
            self.observe(BackendLost(at=time.time(), name=name, reason=message))

    async def _drive_in(self, stack: AsyncExitStack) -> None:
        request = self.request
        if message := too_early(request.spec, request.estate.loaded.catalog.time_zone, time.time()):
            raise Stopped(Unsound(at=time.time(), reason=message))
        site = self.shared
        if site is None:
            site = await stack.enter_async_context(DrillSandbox(request.estate, request.binaries))
        await stack.enter_async_context(site.reporting_to(self._on_exit, self._on_notification))
        self._others_before = site.started
        if not site.started:
            self.view.say("starting the sandbox")
            await self.stop.race(site.start(request.spec.load, request.edit_tree))
        write_files(self.folder, {f"configuration/{path}": text for path, text in site.tree.items()})
        await stack.enter_async_context(renewed_leases(site, self.stop))
        for event in opening_events(request, site, self.folder, self._others_before):
            self.observe(event)
        servers = await self.stop.race(read_servers(site.prometheus, site.alertmanager))
        if reason := await self.stop.race(site.why_not_now(request.spec)):  # before there is any load, which costs
            self._abort(reason)
        load = await stack.enter_async_context(self._watched_load(site))
        began = time.time()
        try:
            await self.stop.race(self._wait_for_load(load, site))
            await self.stop.race(site.settle(request.spec, self._others_before, self.view.say))
            began = time.time()
            await site.note(f"drill {request.spec.name} begins")
            limit_s = parse_duration(request.spec.abort.wall_clock)
            await self.stop.race(self._within(limit_s, self._phases(site)))
        finally:
            await site.note(f"drill {request.spec.name} is over")
            await self._read(site, servers, began)
        if self.stop.reason is not None:  # while Prometheus' record was read, which nothing raced
            raise Stopped(self.stop.reason)
        self.observe(RunEnded(at=time.time()))

    @asynccontextmanager
    async def _watched_load(self, site: DrillSite) -> AsyncIterator[RunningLoad]:
        """Load on, and everything watched, inside."""
        catalog, spec = self.request.estate.loaded.catalog, self.request.spec
        names = {"estate": catalog.estate, "env": catalog.env}
        load = RunningLoad(
            spec.load,
            catalog,
            site.load_way,
            site.supervisor,
            site.folder,
            factor=self.request.estate.timing.factor,
            record=f"load-{self.folder.name}",
            workers=self.request.workers,
            port=site.load_port,
            on_window=self._on_window,
        )
        async with load:
            tasks = [
                asyncio.create_task(watcher)
                for watcher in (
                    watch_prometheus(site.prometheus, self.observe, self.stop, **names),
                    watch_alertmanager(site.alertmanager, self.observe, self.stop, **names),
                    *site.watchers(self.observe),
                )
            ]
            for task in (load.reader, *tasks):
                task.add_done_callback(self._stop_if_failed)
            try:
                yield load
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_for_load(self, load: RunningLoad, site: DrillSite) -> None:
        workers = self.request.workers
        if workers.elsewhere:
            place = f"{workers.host}:{workers.port or site.load_port}"
            self.view.say(f"waiting for {workers.elsewhere} workers at {place}: tiercli drill worker there")
        else:
            self.view.say("waiting for the load")
        try:
            await load.wait_for_first_call(_WORKERS_WITHIN_S if workers.elsewhere else None)
        except BackendError as error:
            self._abort(error.message)

    def _abort(self, reason: str) -> NoReturn:
        self.stop.set(Aborted(at=time.time(), reason=reason))
        raise Stopped(self.stop.reason or Aborted(at=time.time(), reason=reason))

    async def _within(self, limit_s: float, work: Coroutine[None, None, None]) -> None:
        try:
            await asyncio.wait_for(work, limit_s)
        except TimeoutError:
            self._abort(f"the drill was not over within {limit_s:g} s, its abort condition")

    async def _phases(self, site: DrillSite) -> None:
        phases = self.request.spec.phases
        self._error_share.begin_steady()
        await self._phase("steady", phases.steady)
        self._error_share.end_steady()
        if phases.fault is None or phases.recovery is None:
            return
        await read_panels(self.request.spec, self.request.estate, site.prometheus, self.observe)  # to tell what changes
        length_s = self._begin_phase("fault", phases.fault)
        try:
            async with asyncio.TaskGroup() as group:
                for use in self.request.spec.faults:
                    group.create_task(self._one_fault(use, length_s, site))
                group.create_task(self._evidence(length_s, site.prometheus))
        except ExceptionGroup as failed:
            # A fault that may still be on matters more than anything else that went wrong.
            reverted = failed.subgroup(FaultNotReverted)
            raise (reverted or failed).exceptions[0] from None
        spec, writer = self.request.spec, self.writer
        # A drill that proves that nothing fires has to wait for it.
        over = (lambda: all_resolved(spec, writer.timeline())) if spec.expect else None
        await self._phase("recovery", phases.recovery, over)

    def _begin_phase(self, name: str, length: str) -> float:
        seconds = parse_duration(length) / self.request.estate.timing.factor
        self.observe(PhaseStarted(at=time.time(), phase=name, planned_s=seconds))
        return seconds

    async def _phase(self, name: str, length: str, over: Callable[[], bool] | None = None) -> None:
        """Wait a phase out; with `over`, no longer than until it is true and has stayed so for a while."""
        end = time.monotonic() + self._begin_phase(name, length)
        settled = 0.0
        while time.monotonic() < end:
            await asyncio.sleep(min(0.25, max(0.0, end - time.monotonic())))
            if over is not None:
                settled = settled + 0.25 if over() else 0.0
                if settled >= 2.0:
                    return

    async def _one_fault(self, use: FaultUse, length_s: float, site: DrillSite) -> None:
        factor = self.request.estate.timing.factor
        begin = parse_duration(use.from_) / factor
        end = parse_duration(use.until) / factor if use.until else length_s
        await asyncio.sleep(begin)
        async with applied_fault(use, end - begin, site, self.observe):
            await asyncio.sleep(end - begin)

    async def _evidence(self, length_s: float, prometheus: PrometheusClient) -> None:
        await asyncio.sleep(max(length_s * 0.6, length_s - 2.0))
        await read_panels(self.request.spec, self.request.estate, prometheus, self.observe)

    async def _read(self, site: DrillSite, before: Servers, began: float) -> None:
        """What Prometheus recorded; what is not there any more is simply missing from the report."""
        self.view.say("reading Prometheus' own record")
        spec, estate = self.request.spec, self.request.estate
        if site.spending is not None:
            self.observe(SpendBound(at=time.time(), usd=site.spending.usd, cap_usd=site.spending.cap_usd))
        try:
            work = read_samples(spec, estate, site.prometheus, self.writer.timeline(), self.observe)
            await asyncio.wait_for(work, _READ_WITHIN_S)
            scrape_s = estate.timing.scrape_s
            doubts = what_is_doubtful(
                site.prometheus, site.alertmanager, spec, site.reports_exits, before, (began, time.time()), scrape_s
            )
            for message in await asyncio.wait_for(doubts, _READ_WITHIN_S):
                self.observe(Unsound(at=time.time(), reason=message))
            if site.reports_exits:
                starved = read_starved(site.prometheus, spec, began, time.time(), scrape_s)
                for message in await asyncio.wait_for(starved, _READ_WITHIN_S):
                    self.observe(Starved(at=time.time(), reason=message))
        except (BackendError, TimeoutError) as error:
            if self.stop.reason is None:
                self.observe(
                    BackendLost(at=time.time(), name="prometheus", reason=str(error) or "it answers too slowly")
                )

    def _stop_if_failed(self, task: asyncio.Task[None]) -> None:
        """A watcher that fails would leave the run without what it watches: the spend, for one."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.stop.set(BackendLost(at=time.time(), name="what watches the run", reason=repr(error)))

    def _on_window(self, window: LoadWindow) -> None:
        """Note what Locust did; the abort conditions that depend on it."""
        self.observe(window)
        if reason := self._error_share.exceeded(window):
            self.stop.set(Aborted(at=time.time(), reason=reason))
        if self._spending is not None and not self._spending.add(window):
            self.stop.set(Aborted(at=window.at, reason=self._spending.exceeded()))
        if window.workers < self._workers:
            self.observe(WorkerLost(at=window.at, left=window.workers, of=self.request.workers.count))
        self._workers = window.workers

    def _on_exit(self, name: str, code: int) -> None:
        if name.startswith(WORKER):
            return  # the others go on; whether they suffice, the load itself says
        self.stop.set(BackendLost(at=time.time(), name=name, reason=f"it ended by itself with code {code}"))

    def _on_notification(self, notification: Notification) -> None:
        self.observe(notified(notification))
