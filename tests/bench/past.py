"""Seven days of what the rules look back at, as OpenMetrics: every series that some rule reads further back than ten minutes.

Within what a rule reads, samples are as dense as they would have been recorded or scraped, so that reading them costs what it
would; elsewhere there is one an hour.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

import promql_parser as p

from tests.bench.exposition import Labels, Line, series_text, usual_spend
from tiercli.catalog.model import Catalog
from tiercli.conventions import GATEWAY_JOB
from tiercli.durations import parse_duration
from tiercli.signals.parsed import parse, walk
from tiercli.signals.recorded import RECORDED_BY_NAME

DAYS = 7
_LOOKBACK_S = 300.0
_FURTHER_THAN_S = 600.0
_MARGIN_S = 900.0  # around what is read: a chunk is read whole


@dataclass(frozen=True, slots=True)
class Window:
    """What rules read of a series, seconds before now: from `back_from` to `back_to`."""

    back_from: float
    back_to: float


@dataclass(frozen=True, slots=True)
class Past:
    """The samples of one metric: for each series its text and a value at so many seconds before now."""

    name: str
    every_s: float
    windows: tuple[Window, ...]
    series: tuple[tuple[str, Callable[[float], float]], ...]

    def times(self, now: float) -> list[float]:
        """When its samples are, Unix seconds, oldest first."""
        span_s = DAYS * 86_400.0
        backs = {span_s - 3600.0 * hour for hour in range(DAYS * 24)}
        for window in self.windows:
            back = min(window.back_from, span_s)
            while back >= window.back_to:
                backs.add(back)
                back -= self.every_s
        return [now - back for back in sorted(backs, reverse=True) if back > 0]


def look_backs(groups: Iterable[Mapping[str, Any]], during_s: float) -> dict[str, list[Window]]:
    """What the rules of a rule file read further back than ten minutes, by series name, in an evaluation at any time of the
    next `during_s` seconds."""
    found: dict[str, list[Window]] = {}
    exprs = {rule["expr"] for group in groups for rule in group["rules"]}
    for expr in exprs:
        for node, around in walk(parse(expr)):
            if not isinstance(node, p.VectorSelector):
                continue
            holder = around[0] if around and isinstance(around[0], p.MatrixSelector) else None
            range_s = holder.range.total_seconds() if holder is not None else _LOOKBACK_S
            offset_s = node.offset.total_seconds() if node.offset is not None else 0.0
            if range_s + offset_s > _FURTHER_THAN_S and node.name is not None:
                window = Window(range_s + offset_s + _MARGIN_S, max(0.0, offset_s - during_s - _MARGIN_S))
                found.setdefault(node.name, []).append(window)
    return {name: sorted(set(windows), key=lambda one: -one.back_from) for name, windows in sorted(found.items())}


def build_past(
    catalog: Catalog,
    groups: Iterable[Mapping[str, Any]],
    lines: Mapping[str, list[Line]],
    instance: str,
    began: float,
    during_s: float,
) -> tuple[list[Past], list[str]]:
    """The pasts of all that rules look back at; and the names of which none can be made, because what series they have is
    not known here. `began`: Unix seconds at which the counters of `lines` were 0."""
    groups = list(groups)
    recorded_every = {
        rule["record"]: parse_duration(group["interval"])
        for group in groups
        for rule in group["rules"]
        if "record" in rule
    }
    pasts, unknown = [], []
    for name, windows in look_backs(groups, during_s).items():
        if name in lines:
            scraped = {"job": GATEWAY_JOB, "instance": instance}
            every_s = parse_duration(catalog.prometheus.scrape_interval)
            series = tuple((_with(line.head, scraped), _since(line, began)) for line in lines[name])
        elif name in RECORDED_BY_NAME and (sets := _label_sets(RECORDED_BY_NAME[name].labels, catalog)) is not None:
            every_s = recorded_every.get(name, parse_duration(catalog.prometheus.evaluation_interval))
            series = tuple((series_text(name, labels), _usual(name, labels, catalog)) for labels in sets)
        elif name in ("ALERTS", "ALERTS_FOR_STATE") or name in recorded_every:
            # An alarm's own state: it was quiet. Or a record of an alarm that reads itself.
            continue
        else:
            unknown.append(name)
            continue
        pasts.append(Past(name, every_s, tuple(windows), series))
    return pasts, unknown


def openmetrics(pasts: Iterable[Past], now: float) -> Iterator[str]:
    """The text, a piece a series."""
    for past in pasts:
        times = past.times(now)
        yield f"# TYPE {past.name} gauge\n"  # of counters too: OpenMetrics wants names that end otherwise
        for head, value in past.series:
            yield "".join([f"{head} {value(at):.9g} {at:.3f}\n" for at in times])
    yield "# EOF\n"


def _since(line: Line, began: float) -> Callable[[float], float]:
    return lambda at: line.value(at - began)


def _with(head: str, labels: Labels) -> str:
    more = series_text("", labels)[1:-1]
    return f"{head[:-1]},{more}}}" if head.endswith("}") else f"{head}{{{more}}}"


def _usual(name: str, labels: Labels, catalog: Catalog) -> Callable[[float], float]:
    """Around what the live series will be, where an alarm compares with it; anything where none does."""
    tenant = catalog.tenants.get(labels.get("tenant", ""))
    middle = 0.5
    if ":cost_usd:" in name:
        tenants = catalog.tenants.values() if tenant is None else (tenant,)
        middle = sum(usual_spend(one.budget_usd_per_month) for one in tenants)
    noise = [middle * random.Random(f"{name} {number}").gauss(1, 0.03) for number in range(97)]
    return lambda at: noise[int(at) % 97]


def _label_sets(labels: tuple[str, ...], catalog: Catalog) -> list[Labels] | None:
    """The label sets of a recorded series in this estate; None when what they are is not known here."""
    month = str(datetime.now(tz=UTC).month)
    offers = [offer._asdict() for offer in catalog.offers()]
    known: dict[tuple[str, ...], Callable[[], list[Labels]]] = {
        (): lambda: [{}],
        ("tenant",): lambda: [{"tenant": name} for name in catalog.tenants],
        ("tenant", "month"): lambda: [{"tenant": name, "month": month} for name in catalog.tenants],
        ("alias",): lambda: [{"alias": name} for name in catalog.aliases],
        ("provider", "model", "region"): lambda: offers,
        ("provider", "region"): lambda: [
            {"provider": provider, "region": region} for provider, region in catalog.provider_regions()
        ],
        ("provider", "region", "status"): lambda: [
            {"provider": provider, "region": region, "status": status}
            for (provider, region), status in product(catalog.provider_regions(), ("success", "failure"))
        ],
        ("provider", "model", "alias"): lambda: [
            {"provider": one.provider, "model": one.model, "alias": name}
            for name, alias in catalog.aliases.items()
            for one in alias.candidates
        ],
        ("alias", "provider", "model", "region", "fallback_step"): lambda: [
            {"alias": name, **one.model_dump(), "fallback_step": str(step)}
            for name, alias in catalog.aliases.items()
            for step, one in enumerate(alias.candidates)
        ],
        ("signal", "subject"): lambda: [
            *({"signal": "eval score", "subject": name} for name in catalog.aliases),
            *({"signal": "latency p95", "subject": " / ".join(offer.values())} for offer in offers),
        ],
        ("model", "server"): lambda: [
            {"model": model, "server": name} for _, name, server in catalog.servers() for model in server.models
        ],
        ("instance", "gpu"): list,
    }
    return known[labels]() if labels in known else None
