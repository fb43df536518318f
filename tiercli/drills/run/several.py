"""Several drills: those that can share a sandbox run in one, one after another; the others each have their own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack

from tiercli.drills.record.result import Outcome
from tiercli.drills.run.one import run_drill
from tiercli.drills.run.request import DrillRun, RunRequest, View
from tiercli.drills.sites.sandbox import DrillSandbox
from tiercli.drills.spec.model import DrillSpec


def shared_groups(requests: Sequence[RunRequest]) -> list[list[RunRequest]]:
    """Drills that can run in one sandbox: the same compression, the same simulated estate, the same usual load, which is what
    its past was made of. In the order in which the first of each was asked for; last in its group stands what leaves an alert
    behind."""
    groups: dict[tuple[object, ...], list[RunRequest]] = {}
    for request in requests:
        spec = request.spec
        key = (request.estate.timing.factor, request.estate.settings, spec.load.model_dump_json(), request.edit_tree)
        groups.setdefault(key, []).append(request)
    return [sorted(group, key=lambda request: _leaves_alerts(request.spec)) for group in groups.values()]


def _leaves_alerts(spec: DrillSpec) -> bool:
    return any(expected.resolved_within is None for expected in spec.expect)


async def run_drills(
    requests: Sequence[RunRequest],
    view_of: Callable[[RunRequest], AbstractContextManager[View]],
    *,
    share: bool = True,
    parallel: int = 1,
) -> AsyncIterator[DrillRun]:
    """Run drills and give each as it ends: in each sandbox one after another, in `parallel` sandboxes at once. One that the machine had
    no time for is run again at the end, alone, and given once. None begins after one was interrupted. Raises as run_drill does."""
    groups = _Groups(shared_groups(requests) if share else [[request] for request in requests])
    over: asyncio.Queue[DrillRun | None] = asyncio.Queue()  # None: nothing is left for one of the rooms
    stopped = asyncio.Event()
    rooms = min(parallel, len(requests))
    again: list[RunRequest] = []

    async def fill_room() -> None:
        try:
            while not stopped.is_set() and (group := groups.next()) is not None:
                async for request, done in _one_after_another(group, view_of, stopped):
                    if done.result.interrupted:
                        stopped.set()
                    if done.result.starved and rooms > 1 and done.error is None:
                        with view_of(request) as view:
                            view.say(f"{done.result.reasons[0]}; once the others are over it is run again, alone")
                        again.append(request)
                    else:
                        over.put_nowait(done)
        finally:
            over.put_nowait(None)

    tasks = [asyncio.create_task(fill_room()) for _ in range(rooms)]
    try:
        going = len(tasks)
        while going:
            done = await over.get()
            if done is None:
                going -= 1
            else:
                yield done
        for task in tasks:
            await task  # raises what it has raised
        for request in again:
            async for _, done in _one_after_another(deque([request]), view_of, stopped):
                yield done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Groups:
    """What waits. Where no group does, half of what waits in the longest one that runs goes to a sandbox of its own: one group may be
    most of the work."""

    def __init__(self, groups: Sequence[Sequence[RunRequest]]) -> None:
        self._waiting = deque(deque(group) for group in groups)
        self._running: list[deque[RunRequest]] = []

    def next(self) -> deque[RunRequest] | None:
        """The drills for the next sandbox: whoever runs them takes each from the left. None where nothing is left to give."""
        if self._waiting:
            group = self._waiting.popleft()
        else:
            longest = max(self._running, key=len, default=deque[RunRequest]())
            group = deque(longest.pop() for _ in range(len(longest) // 2))
            group.reverse()
        self._running.append(group)
        return group or None


async def _one_after_another(
    waiting: deque[RunRequest],
    view_of: Callable[[RunRequest], AbstractContextManager[View]],
    stopped: asyncio.Event,
) -> AsyncIterator[tuple[RunRequest, DrillRun]]:
    """A run that proved nothing may have left its sandbox in any state: the next one gets a fresh one."""
    while waiting and not stopped.is_set():
        async with AsyncExitStack() as stack:
            shared = None
            if len(waiting) > 1:
                shared = await stack.enter_async_context(DrillSandbox(waiting[0].estate, waiting[0].binaries))
            sound = True
            while waiting and sound and not stopped.is_set():
                request = waiting.popleft()
                with view_of(request) as view:
                    done = await run_drill(request, view, shared)
                yield request, done
                sound = shared is not None and done.error is None
                sound = sound and done.result.outcome is not Outcome.INCONCLUSIVE
