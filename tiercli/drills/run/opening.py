"""The first events of a run: what is to be done, under which clock, with which parts, and what its floor is computed from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tiercli.drills.record.events import Event, RunStarted, Verification
from tiercli.drills.run.order import DrillOrder
from tiercli.drills.run.readings import alarm_facts
from tiercli.drills.run.verification import verification_facts
from tiercli.drills.sites.interface import DrillSite
from tiercli.drills.sites.sent_counts import integrations_of
from tiercli.drills.spec.model import DrillSpec
from tiercli.durations import parse_duration
from tiercli.time_zones import utc_offset_s


def opening_events(order: DrillOrder, site: DrillSite, folder: Path, others_before: bool) -> Iterator[Event]:
    """In their order. `folder`: the run's; `others_before`: other drills ran here, or the place is not ours."""
    spec, estate = order.spec, order.estate
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
    )
    yield Verification(at=time.time(), facts=verification_facts(estate, site.facts(), site.limits(), folder))
    expected = {expectation.alert for expectation in spec.expect}
    for alarm in estate.alarms:
        if alarm.alarm in expected:
            yield alarm_facts(alarm, estate)


def too_early(spec: DrillSpec, time_zone: str, now: float) -> str | None:
    """Why a drill can prove nothing on this day of the month, in the catalog's time zone; None on other days. `now`: Unix seconds."""
    # As the rules reckon: without daylight saving.
    day = datetime.fromtimestamp(now + utc_offset_s(time_zone), UTC).day
    if day >= spec.from_day_of_month:
        return None
    return (
        f"it is day {day} of the month, and before day {spec.from_day_of_month} what is expected cannot come, by design"
    )
