"""Several drills: those that can share a sandbox run in one, one after another; the others each have their own."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack

from tiercli.drills.drill_sandbox import DrillSandbox
from tiercli.drills.result import Outcome
from tiercli.drills.runner import DrillOrder, DrillRun, View, run_drill
from tiercli.drills.spec import DrillSpec


def shared_groups(orders: Sequence[DrillOrder]) -> list[list[DrillOrder]]:
    """Drills that can run in one sandbox: the same compression, the same simulated estate, the same usual load, which is what
    its past was made of. In the order in which the first of each was asked for; last in its group stands what leaves an alert
    behind."""
    groups: dict[tuple[object, ...], list[DrillOrder]] = {}
    for order in orders:
        spec = order.spec
        key = (order.estate.timing.factor, order.estate.settings, spec.load.model_dump_json(), order.edit_tree)
        groups.setdefault(key, []).append(order)
    return [sorted(group, key=lambda order: _leaves_alerts(order.spec)) for group in groups.values()]


def _leaves_alerts(spec: DrillSpec) -> bool:
    return any(expected.resolved_within is None for expected in spec.expect)


async def run_drills(
    orders: Sequence[DrillOrder], view_of: Callable[[DrillOrder], AbstractContextManager[View]], *, share: bool = True
) -> AsyncIterator[DrillRun]:
    """Run drills one after another and give each as it ends; none follows one that was interrupted. A run that proved nothing may
    have left its sandbox in any state: the next one gets a fresh one. Raises as run_drill does."""
    for group in shared_groups(orders) if share else [[order] for order in orders]:
        waiting = deque(group)
        while waiting:
            async with AsyncExitStack() as stack:
                shared = None
                if len(waiting) > 1:
                    shared = await stack.enter_async_context(DrillSandbox(waiting[0].estate, waiting[0].binaries))
                sound = True
                while waiting and sound:
                    order = waiting.popleft()
                    with view_of(order) as view:
                        done = await run_drill(order, view, shared)
                    yield done
                    if done.result.interrupted:
                        return
                    sound = shared is not None and done.error is None
                    sound = sound and done.result.outcome is not Outcome.INCONCLUSIVE
