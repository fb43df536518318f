"""The first events of a run: what is to be done, under which clock, with which parts, and what its floor is computed from."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tiercli import __version__
from tiercli.drills.record.events import Event, RunStarted, Verification
from tiercli.drills.run.readings import alarm_facts
from tiercli.drills.run.request import RunRequest
from tiercli.drills.sites.estate import Estate
from tiercli.drills.sites.interface import DrillSite
from tiercli.drills.sites.sent_counts import integrations_of
from tiercli.drills.spec.model import DrillSpec
from tiercli.durations import parse_duration
from tiercli.time_zones import utc_offset_s

_LIBRARIES = ("locust", "aiohttp", "prometheus-client", "grafanalib", "promql-parser")
_LAST = ("data path", "real, not simulated")


def opening_events(request: RunRequest, site: DrillSite, folder: Path, others_before: bool) -> Iterator[Event]:
    """In their order. `folder`: the run's; `others_before`: other drills ran here, or the place is not ours."""
    spec, estate = request.spec, request.estate
    timing, catalog = estate.timing, estate.loaded.catalog
    yield RunStarted(
        at=time.time(),
        drill=spec.name,
        estate=catalog.estate,
        env=catalog.env,
        mode=site.mode,
        shared=others_before,
        factor=timing.factor,
        scrape_s=timing.scrape_s,
        evaluation_s=timing.evaluation_s,
        group_wait_s=timing.compress(parse_duration(catalog.alertmanager.group_wait)),
        group_interval_s=timing.compress(parse_duration(catalog.alertmanager.group_interval)),
        bounds=list(timing.bounds(estate.windows())),
        spec=spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        told_by=site.told_by,
        integrations=integrations_of(catalog),
        catalog_sha256=request.catalog_sha256,
        rules=dict(request.rules),
    )
    yield Verification(
        at=time.time(), facts=_whom(request.played) | verification_facts(estate, site.facts(), site.limits(), folder)
    )
    expected = {expectation.alert for expectation in spec.expect}
    for alarm in estate.alarms:
        if alarm.alarm in expected:
            yield alarm_facts(alarm, estate)


def _whom(played: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Who plays the roles of the drill, as a fact."""
    roles = (f"{role}: {', '.join(names.values())}" for role, names in played.items())
    return {"roles": "; ".join(roles)} if played else {}


def too_early(spec: DrillSpec, time_zone: str, now: float) -> str | None:
    """Why a drill can prove nothing on this day of the month, in the catalog's time zone; None on other days. `now`: Unix seconds."""
    # As the rules reckon: without daylight saving.
    day = datetime.fromtimestamp(now + utc_offset_s(time_zone), UTC).day
    if day >= spec.from_day_of_month:
        return None
    return (
        f"it is day {day} of the month; the expected alert cannot fire before day {spec.from_day_of_month}, by design"
    )


def verification_facts(estate: Estate, of_site: Mapping[str, str], limits: Sequence[str], data: Path) -> dict[str, str]:
    """Facts by name, in the order in which a reader wants them. `of_site` and `limits`: what the place says of itself; `data`: the
    run's folder."""
    timing = estate.timing
    bounds = timing.bounds(estate.windows())
    return {
        "tiercli": __version__,
        **{name: message for name, message in of_site.items() if name not in _LAST},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _installed(name) for name in _LIBRARIES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": f"{len(os.sched_getaffinity(0)) if sys.platform == 'linux' else os.cpu_count()}",
        "memory": _memory(),
        "gpu": _gpu(),
        "catalog": estate.loaded.document.name,
        "data path": f"{of_site['data path']}; data in {data.name}",
        "compression": f"×{timing.factor:g}: 1 s here is {timing.factor:g} s of simulated time",
        "scrape and evaluation": f"every {timing.scrape_s:.3g} s and {timing.evaluation_s:.3g} s",
        "real, not simulated": of_site["real, not simulated"],
        "limits": "; ".join(
            (
                *bounds,
                *(("latencies are real seconds and not compressed",) if timing.factor != 1 else ()),
                *limits,
            )
        ),
    }


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _memory() -> str:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return "unknown"
    kilobytes = int(next(line.split()[1] for line in text.splitlines() if line.startswith("MemTotal")))
    return f"{kilobytes / 1024 / 1024:.1f} GiB"


def _gpu() -> str:
    try:
        import pynvml

        pynvml.nvmlInit()
        names = [
            pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(pynvml.nvmlDeviceGetCount())
        ]
        pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - no driver, no library, no permission: there is no GPU to speak of
        return "none used"
    return ", ".join(str(name) for name in names) or "none"
