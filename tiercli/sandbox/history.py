"""A past for the sandbox: the recorded series that baselines and months are made of, as if the estate had always been normal,
with days, nights and weekends. Now is a Wednesday at eleven.

Recorded series, not raw counters: a rate over samples as far apart as a backfill's would be empty.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tiercli.catalog.model import Catalog
from tiercli.durations import parse_duration
from tiercli.sandbox.plan import EstatePlan
from tiercli.sandbox.usual_traffic import Traffic, Usual, usual_of
from tiercli.signals.timing import Timing
from tiercli.time_zones import utc_offset_s

BASELINE_WINDOW = "6h"
BASELINE_OFFSET = "15m"
# Spend is compared with two hours of other days, that begin so long ago.
_SPEND_OFFSETS = ("24h30m", "168h30m")
_RUN_S = 1200.0  # real seconds: the longest run that still has its yesterday
_NOISE = 0.03
# Samples need not be as dense as evaluations: an average is the same, and the backfill is shorter.
_SAMPLES = 400
BUDGET_USED = 0.6  # of what a tenant may spend, in the month so far
_MOST_TENANTS = 300  # the largest; the budgets of the others stand in for their past
_HOURS_A_WEEK, _HOURS_A_MONTH = 7 * 24, 31 * 24
_MONTH_S = 30.4375 * 24 * 3600
_WEDNESDAY_AT_ELEVEN = 2 * 24 + 11

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Past:
    """When a past ends, and how fast its time goes."""

    catalog: Catalog
    timing: Timing
    until: float

    def hours(self, count: int) -> list[tuple[int, float]]:
        """(hours ago, Unix seconds), the oldest first; the youngest a moment ago."""
        hour_s = self.timing.compress(3600)
        return [(ago, self.until - ago * hour_s - self.timing.evaluation_s) for ago in range(count, -1, -1)]


def history_openmetrics(
    catalog: Catalog,
    timing: Timing,
    until: float,
    plan: EstatePlan | None = None,
    traffic: Traffic | None = None,
    budget_used: float = BUDGET_USED,
) -> str:
    """OpenMetrics text of the baselines' inputs before `until` (Unix seconds), in `timing`'s compressed time.

    Latencies and error ratios are the catalog's `typical`. With a `plan` under `traffic`, spend, tokens and costs follow from
    it; a month's spend is on course to `budget_used` of its budget. The noise is the same for the same catalog.
    """
    past = _Past(catalog, timing, until)
    families = [_offers(past), _alias_latency(past), _availability(past), _months(past, budget_used)]
    if plan is not None and traffic is not None:
        usual = usual_of(plan, traffic)
        families += [_spend(past, usual.tenant_usd), _drift(past, plan, usual, traffic.input_tokens)]
    return "\n".join([*(line for family in families for line in family), "# EOF", ""])


def _offers(past: _Past) -> Iterator[str]:
    """Latency and error ratio of every offer, over the window that their baselines average."""
    span_s = past.timing.window_s(BASELINE_WINDOW) + past.timing.window_s(BASELINE_OFFSET)
    step_s = max(past.timing.evaluation_s, span_s / _SAMPLES)
    times = [past.until - span_s + step_s * number for number in range(int(span_s / step_s) + 1)]
    for metric, key in (
        ("tier:provider:latency_seconds:p95_5m:normal", "p95_seconds"),
        ("tier:provider:error_ratio:rate5m:normal", "error_ratio"),
    ):
        yield f"# TYPE {metric} gauge"
        noise = _noise(metric)
        for offer in past.catalog.offers():
            typical = past.catalog.providers[offer.provider].regions[offer.region].typical
            normal = getattr(typical, key)
            yield from _lines(metric, offer._asdict(), ((at, normal * noise()) for at in times))


def _availability(past: _Past) -> Iterator[str]:
    metric = "tier:gateway:available:ratio1h"
    yield f"# TYPE {metric} gauge"
    yield from _lines(metric, {}, ((at, 1.0) for _, at in past.hours(_HOURS_A_MONTH)))


def _months(past: _Past, budget_used: float) -> Iterator[str]:
    """Spend by tenant and calendar month, an hour's each hour, and when that was summed up."""
    metric, tick = "tier:tenant:cost_usd:grown", "tier:calendar:tick:seconds"
    local = datetime.fromtimestamp(past.until + utc_offset_s(past.catalog.time_zone), UTC)
    hours_of_month = (local.day - 1) * 24 + local.hour
    last_month = 12 if local.month == 1 else local.month - 1
    noise = _noise(metric)
    hours = past.hours(_HOURS_A_MONTH)
    months = (
        (last_month, [hour for hour in hours if hour[0] > hours_of_month]),
        (local.month, [hour for hour in hours if hour[0] <= hours_of_month]),
    )
    yield f"# TYPE {tick} gauge"
    for month, chosen in months:
        yield from _lines(tick, {"month": str(month)}, ((at, at) for _, at in chosen))
    yield f"# TYPE {metric} gauge"
    for tenant in _largest(past.catalog):
        budget = past.catalog.tenants[tenant].budget_usd_per_month
        usual = budget_used * budget / (_MONTH_S / 3600) / _MEAN_ACTIVITY
        for month, chosen in months:
            points = ((at, usual * _activity(ago) * noise()) for ago, at in chosen)
            yield from _lines(metric, {"tenant": tenant, "month": str(month)}, points)


def _spend(past: _Past, tenant_usd: Mapping[str, float]) -> Iterator[str]:
    """Spend rates from the hour before to the hour after this one, of other days, dense enough for an instant query."""
    timing = past.timing
    step_s = max(timing.compress(150), 2 * timing.scrape_s)
    ahead_s = max(_RUN_S, timing.compress(6 * 3600)) + timing.compress(3600)
    times = sorted(
        {
            round(at, 3)
            for offset in _SPEND_OFFSETS
            for number in range(int((ahead_s + 4 * step_s) / step_s) + 1)
            if (at := past.until - timing.compress(parse_duration(offset)) + step_s * (number - 4)) <= past.until
        }
    )
    metric = "tier:tenant:cost_usd:rate1h:normal"
    noise = _noise(metric)
    yield f"# TYPE {metric} gauge"
    largest = set(_largest(past.catalog))
    for tenant, usd in tenant_usd.items():
        if tenant in largest:
            yield from _lines(metric, {"tenant": tenant}, ((at, usd * noise()) for at in times))
    metric = "tier:estate:cost_usd:rate1h:normal"
    yield f"# TYPE {metric} gauge"
    total = sum(tenant_usd.values())
    yield from _lines(metric, {}, ((at, total * noise()) for at in times))


def _drift(past: _Past, plan: EstatePlan, usual: Usual, input_tokens: int) -> Iterator[str]:
    """The slow signals, once an hour for seven days: nothing has drifted."""
    metric = "tier:drift:value:hourly"
    rows: list[tuple[str, str, float]] = []
    scores = {alias.name: alias.eval_score for alias in plan.aliases}
    for alias in usual.alias_output_tokens:
        rows += [
            ("eval score", alias, scores[alias]),
            ("output tokens per call", alias, usual.alias_output_tokens[alias]),
            ("cost per 1k calls", alias, usual.alias_usd_per_1k[alias]),
            ("refusal rate", alias, 0.0),
        ]
    for offer in past.catalog.offers():
        subject = " / ".join((offer.provider, offer.model, offer.region))
        typical = past.catalog.providers[offer.provider].regions[offer.region].typical
        rows += [
            ("input tokens per call", subject, float(input_tokens)),
            ("latency p95", subject, typical.p95_seconds),
            ("unclassified rate", subject, 0.0),
        ]
    rows += [
        ("postcondition rate", " / ".join((*model, alias.name)), 0.0)
        for alias in plan.aliases
        for model in dict.fromkeys((candidate.provider, candidate.model) for candidate in alias.candidates)
    ]
    yield f"# TYPE {metric} gauge"
    noise = _noise(metric)
    hours = past.hours(_HOURS_A_WEEK + 1)
    for signal, subject, value in rows:
        exact = signal == "eval score"  # a share of 1 stays one
        points = ((at, value if exact else value * noise()) for _, at in hours)
        yield from _lines(metric, {"signal": signal, "subject": subject}, points)


def _alias_latency(past: _Past) -> Iterator[str]:
    """p95 of every alias once an hour for seven days: what is typical of its primary."""
    metric = "tier:alias:latency_seconds:hourly"
    yield f"# TYPE {metric} gauge"
    noise = _noise(metric)
    for name, alias in past.catalog.aliases.items():
        primary = alias.candidates[0]
        normal = past.catalog.providers[primary.provider].regions[primary.region].typical.p95_seconds
        points = ((at, normal * noise()) for _, at in past.hours(_HOURS_A_WEEK + 1))
        yield from _lines(metric, {"alias": name}, points)


def _largest(catalog: Catalog) -> Sequence[str]:
    """The tenants with the largest budgets."""
    by_budget = sorted(catalog.tenants, key=lambda name: -catalog.tenants[name].budget_usd_per_month)
    return by_budget[:_MOST_TENANTS]


def _activity(hours_ago: int) -> float:
    """How much of a working hour's traffic there was: 1 in office hours, a fifth at night, half of either at weekends."""
    hour = (_WEDNESDAY_AT_ELEVEN - hours_ago) % _HOURS_A_WEEK
    day, of_day = divmod(hour, 24)
    return (1.0 if 8 <= of_day < 19 else 0.2) * (0.5 if day >= 5 else 1.0)


_MEAN_ACTIVITY = sum(_activity(ago) for ago in range(_HOURS_A_WEEK)) / _HOURS_A_WEEK


def _noise(seed: str) -> Callable[[], float]:
    """Factors around 1, the same for the same seed."""
    source = random.Random(seed)  # noqa: S311 - noise, not a secret
    return lambda: source.gauss(1, _NOISE)


def _lines(metric: str, labels: Mapping[str, str], points: Iterable[Point]) -> Iterator[str]:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    series = f"{metric}{{{inner}}}" if inner else metric
    for at, value in points:
        yield f"{series} {value:.10g} {at:.3f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
