"""The backfilled past of spend, months and slow signals: consistent with the load that a sandbox is put under."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.load.plan import usual_traffic
from tiercli.drills.spec.model import Load
from tiercli.sandbox.history import history_openmetrics
from tiercli.sandbox.plan import EstatePlan, plan_estate
from tiercli.sandbox.usual_traffic import usual_of
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.timing import Timing

TIMING = Timing(30, 10, 10)
LOAD = Load(arrivals_per_second=80)
MID_MONTH = datetime(2026, 11, 14, 12, 30, tzinfo=UTC).timestamp()
SAMPLE = re.compile(r'^(?P<name>[a-z0-9_:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+) (?P<at>[0-9.]+)$')  # fmt: skip

Series = dict[tuple[str, str], list[tuple[float, float]]]


@pytest.fixture(scope="module")
def plan(hybrid: LoadedCatalog) -> EstatePlan:
    unused = itertools.count(1)
    here = Path("nowhere")
    return plan_estate(hybrid.catalog, folder=here, allocate=lambda: next(unused), token_file=here / "token")


def series_of(hybrid: LoadedCatalog, plan: EstatePlan, timing: Timing = TIMING, until: float = MID_MONTH) -> Series:
    """(time, value) by name and labels."""
    found: Series = {}
    text = history_openmetrics(hybrid.catalog, timing, until, plan, usual_traffic(LOAD, hybrid.catalog))
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match is not None, line
            found.setdefault((match["name"], match["labels"] or ""), []).append(
                (float(match["at"]), float(match["value"]))
            )
    return found


def mean(points: list[tuple[float, float]]) -> float:
    return sum(value for _, value in points) / len(points)


def test_every_series_is_a_recorded_one_with_its_labels_and_ends_before_now(
    hybrid: LoadedCatalog, plan: EstatePlan
) -> None:
    for (name, labels), points in series_of(hybrid, plan).items():
        assert set(re.findall(r'(\w+)="', labels)) == set(RECORDED_BY_NAME[name].labels)
        assert [at for at, _ in points] == sorted({at for at, _ in points}), name
        assert points[-1][0] <= MID_MONTH


@pytest.mark.parametrize("factor", [30, 120, 600])
def test_the_same_hour_of_yesterday_and_a_week_ago_is_there_for_a_whole_run(
    hybrid: LoadedCatalog, plan: EstatePlan, factor: float
) -> None:
    timing = Timing(factor, 10, 10)
    look_back_s = max(300 / factor, 4 * timing.scrape_s)
    found = series_of(hybrid, plan, timing)
    for offset_s in (23.5 * 3600 / factor, 6 * 86400 / factor + 23.5 * 3600 / factor):
        for after_s in (0, 60, 600):
            wanted = MID_MONTH + after_s - offset_s
            if wanted > MID_MONTH:
                continue  # by then it is the run's own past
            for name in ("tier:tenant:cost_usd:rate1h:normal", "tier:estate:cost_usd:rate1h:normal"):
                for (metric, _), points in found.items():
                    if metric == name:
                        assert any(wanted - look_back_s < at <= wanted for at, _ in points), (name, offset_s, after_s)


def test_the_estates_spend_is_that_of_its_tenants_under_the_load(hybrid: LoadedCatalog, plan: EstatePlan) -> None:
    usual = usual_of(plan, usual_traffic(LOAD, hybrid.catalog))
    found = series_of(hybrid, plan)
    for tenant, usd in usual.tenant_usd.items():
        points = found["tier:tenant:cost_usd:rate1h:normal", f'tenant="{tenant}"']
        assert mean(points) == pytest.approx(usd, rel=0.02)
    total = found["tier:estate:cost_usd:rate1h:normal", ""]
    assert mean(total) == pytest.approx(sum(usual.tenant_usd.values()), rel=0.02)


def test_a_month_has_used_less_than_its_budget_and_was_quieter_at_night(
    hybrid: LoadedCatalog, plan: EstatePlan
) -> None:
    found = series_of(hybrid, plan)
    elapsed_s = (13 * 24 + 18) * 3600 / 30  # Kolkata: half past six in the evening of the fourteenth
    for tenant, settings in hybrid.catalog.tenants.items():
        points = found["tier:tenant:cost_usd:grown", f'tenant="{tenant}",month="11"']
        assert MID_MONTH - points[0][0] == pytest.approx(elapsed_s, abs=130)
        share = sum(value for _, value in points) / settings.budget_usd_per_month
        assert 0.2 < share < 0.32  # 60 % of what fourteen days of thirty allow
        assert max(value for _, value in points) > 4 * min(value for _, value in points)
        before = found["tier:tenant:cost_usd:grown", f'tenant="{tenant}",month="10"']
        assert before[-1][0] < points[0][0]


def test_the_first_hour_of_a_year_has_a_month_and_a_month_before(hybrid: LoadedCatalog, plan: EstatePlan) -> None:
    new_year = datetime(2026, 12, 31, 18, 40, tzinfo=UTC).timestamp()  # ten past midnight in Kolkata
    found = series_of(hybrid, plan, until=new_year)
    months = {labels for name, labels in found if name == "tier:tenant:cost_usd:grown"}
    assert 'tenant="acme-corp",month="1"' in months
    assert 'tenant="acme-corp",month="12"' in months


def test_nothing_has_drifted(hybrid: LoadedCatalog, plan: EstatePlan) -> None:
    found = {labels: points for (name, labels), points in series_of(hybrid, plan).items() if "drift" in name}
    signals = {labels.split('"')[1] for labels in found}
    assert len(signals) == 8
    week_s = 7 * 86400 / 30
    for labels, points in found.items():
        assert points[-1][0] - points[0][0] >= week_s
        half = len(points) // 2
        assert mean(points[:half]) == pytest.approx(mean(points[half:]), rel=0.03), labels
    assert {value for _, value in found['signal="eval score",subject="chat"']} == {0.88}


def test_the_largest_tenants_have_a_past_of_their_own(hybrid: LoadedCatalog, plan: EstatePlan) -> None:
    template = hybrid.catalog.tenants["acme-corp"]
    many = {f"t{number}": template.model_copy(update={"budget_usd_per_month": number}) for number in range(1, 1001)}
    catalog = hybrid.catalog.model_copy(update={"tenants": many})
    text = history_openmetrics(catalog, TIMING, MID_MONTH)
    named = set(re.findall(r'grown\{tenant="(\w+)"', text))
    assert named == {f"t{number}" for number in range(701, 1001)}
