"""Faults by load: a second Locust beside the drill's own, whose calls are those that the fault's target names."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

from tiercli.drills.load.locust import LOCUST
from tiercli.drills.load.running import FIRST_CALL_WITHIN_S, RunningLoad
from tiercli.drills.load.shape import build_shape, least_calls
from tiercli.drills.record.events import LoadWindow, Observe, Unsound
from tiercli.drills.sites.interface import DrillSite, Off
from tiercli.drills.spec.model import FaultUse, Load, LoadStep, Mix
from tiercli.durations import format_duration
from tiercli.errors import BackendError
from tiercli.faults.kinds.surge import SurgeSettings

_numbers = itertools.count(1)
_MIX_KEYS = {"alias": "aliases", "tenant": "tenants", "feature": "features"}


def surge_load(use: FaultUse, length_s: float) -> Load:
    """The load that a fault is: `length_s` real seconds of calls as its settings say."""
    surge = SurgeSettings.model_validate(use.settings)
    return Load(
        shape="steps",
        arrivals_per_second=surge.calls_per_second,
        steps=_growing(surge.calls_per_second, surge.grows_to or surge.calls_per_second, length_s),
        stream_share=surge.stream_share,
        repeat_share=0,
        mix=Mix(**{_MIX_KEYS[label]: {value: 1.0} for label, value in use.target.items()}),
        prompt_tokens=surge.prompt_tokens,
        max_tokens=surge.max_tokens,
    )


async def start_surge(
    use: FaultUse,
    length_s: float,
    site: DrillSite,
    observe: Observe,
    on_window: Callable[[LoadWindow], None] = lambda window: None,
) -> Off:
    """Start it, and return once its first calls are out; what ends it. `observe` gets an event where it was not the load that was
    planned: an alarm that stays silent proves nothing then. Raises BackendError."""
    number = next(_numbers)
    load = surge_load(use, length_s)
    seconds, started = 0.0, 0

    def count(window: LoadWindow) -> None:
        nonlocal seconds, started
        if window.started or started:
            seconds, started = seconds + window.seconds, started + window.started
        on_window(window)

    running = RunningLoad(
        load,
        site.estate.loaded.catalog,
        site.load_way,
        site.supervisor,
        site.folder,
        factor=1,
        record=f"load-{number}",
        process=f"{LOCUST}-{number}",
        seed=100 + number,
        on_window=count,
    )
    await running.__aenter__()

    async def end() -> None:
        await running.__aexit__()
        if missing := shortfall(load, seconds, started):
            observe(Unsound(at=time.time(), reason=f"the load of {use.fault} did not arrive: {missing}"))

    try:
        await running.wait_for_first_call(FIRST_CALL_WITHIN_S)
    except BaseException as error:
        # However this wait ends, a load that nobody turns off must not go on.
        await asyncio.shield(end())
        if isinstance(error, BackendError):
            raise BackendError(f"the load of {use.fault} did not start within {FIRST_CALL_WITHIN_S:g} s") from error
        raise
    return end


def shortfall(load: Load, seconds: float, started: int) -> str:
    """What is missing where `started` calls in `seconds` are too few of the load that was asked for; "" where they suffice."""
    due = build_shape(load, 1).arrivals_until(seconds)
    return f"{started} of {due:.0f} requests were started in {seconds:.0f} s" if started < least_calls(due) else ""


def _growing(first: float, last: float, length_s: float) -> tuple[LoadStep, ...]:
    """A step a second from `first` to `last`, or one that holds."""
    if first == last:
        return (LoadStep(after="0s", arrivals_per_second=first),)
    count = max(2, int(length_s))
    return tuple(
        LoadStep(after=format_duration(at), arrivals_per_second=first + (last - first) * at / (count - 1))
        for at in range(count)
    )
