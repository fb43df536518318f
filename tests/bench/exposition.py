"""What the gateway of a large estate exposes: every metric of the contract, a given number of series in all.

Counters are functions of time, so that a past can be made of the same series: each moves at a steady rate with a slow wave
on it, and never falls.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, product

from tiercli.catalog.model import Catalog
from tiercli.signals.contract import CONTRACT, ERROR_CODES, METRICS_BY_NAME, Metric, MetricType

SERIES = 100_000
SECONDS_A_MONTH = 2_629_800
_WAVES = 16
_WAVE_S = 1800.0
_RARE_TENANTS = 100  # a hundredth of the tenants does what should not happen
_STEADY = ("ai_gateway_price_book_info", "ai_gateway_up")
Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its text up to the value; a counter's growth per second, or a gauge's middle."""

    head: str
    amount: float
    counter: bool
    wave: int
    swing: float = 0.05

    def value(self, seconds: float) -> float:
        """Its value `seconds` after the counters began."""
        turn = 2 * math.pi * (seconds / _WAVE_S + self.wave / _WAVES)
        if not self.counter:
            return self.amount * (1 + self.swing * math.sin(turn))
        return self.amount * (seconds + 0.3 * _WAVE_S / (2 * math.pi) * (1 - math.cos(turn)))


def exposed_lines(catalog: Catalog, series: int = SERIES) -> dict[str, list[Line]]:
    """The lines of each metric by the sample's name. Raises ValueError when the catalog allows fewer than `series`, or when
    what must be there is more."""
    noise = random.Random(1)
    lines: dict[str, list[Line]] = {name: [] for metric in CONTRACT for name in metric.exposed_names}
    for name, labels, amount in chain.from_iterable(fill(catalog, noise) for fill in _FILLS):
        for sample, more, share in _samples(METRICS_BY_NAME[name]):
            counter = METRICS_BY_NAME[name].type is not MetricType.GAUGE
            head, swing = series_text(sample, labels | more), 0.0 if name in _STEADY else 0.05
            lines[sample].append(Line(head, amount * share, counter, noise.randrange(_WAVES), swing))
    missing = series - sum(map(len, lines.values()))
    bucket = "ai_gateway_quota_bucket_fill_ratio"
    lines[bucket] += [
        Line(series_text(bucket, labels), noise.uniform(0.1, 0.6), False, noise.randrange(_WAVES))
        for labels in islice(_quota_buckets(catalog), max(0, missing))
    ]
    if sum(map(len, lines.values())) != series:
        raise ValueError(f"{sum(map(len, lines.values()))} series, not {series}")
    return lines


def exposition(lines: dict[str, list[Line]], seconds: float) -> str:
    """The text of a scrape `seconds` after the counters began."""
    parts = []
    for metric in CONTRACT:
        parts.append(f"# TYPE {metric.name} {metric.type}")
        for name in metric.exposed_names:
            parts += [f"{line.head} {line.value(seconds):.9g}" for line in lines[name]]
    return "\n".join([*parts, ""])


def series_text(name: str, labels: Labels) -> str:
    """A series as expositions write it."""
    inside = ",".join(f"{label}={label_text(value)}" for label, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name


def usual_spend(usd_per_month: float) -> float:
    """What a tenant usually spends, US dollars per second: half of its budget."""
    return usd_per_month / SECONDS_A_MONTH / 2


def label_text(value: str) -> str:
    """A label's value as expositions write it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _samples(metric: Metric) -> Iterator[tuple[str, Labels, float]]:
    """The samples of one label set: name, labels beside, and their share of its amount, which is calls per second."""
    if metric.type is not MetricType.HISTOGRAM:
        yield metric.name, {}, 1.0
        return
    middle = metric.buckets[len(metric.buckets) // 3]
    for bound in metric.buckets:
        yield f"{metric.name}_bucket", {"le": f"{bound:g}"}, 1 - math.exp(-bound / middle)
    yield f"{metric.name}_bucket", {"le": "+Inf"}, 1.0
    yield f"{metric.name}_sum", {}, float(middle)
    yield f"{metric.name}_count", {}, 1.0


_Entry = tuple[str, Labels, float]


def _of_offers(catalog: Catalog, noise: random.Random) -> Iterator[_Entry]:
    for offer in catalog.offers():
        labels, calls = offer._asdict(), noise.uniform(1, 20)
        for status, share in (("success", 0.998), ("failure", 0.002)):
            yield "ai_gateway_requests_total", {**labels, "status": status}, calls * share
        for code in ERROR_CODES:
            yield "ai_gateway_errors_total", {**labels, "code": code}, calls * 0.002 / len(ERROR_CODES)
        yield "ai_gateway_request_duration_seconds", labels, calls
        yield "ai_gateway_time_to_first_token_seconds", labels, calls
        for direction, tokens in (("input", 900), ("output", 300), ("cache_read", 400), ("cache_write", 50)):
            yield "ai_gateway_tokens_total", {**labels, "direction": direction}, calls * tokens
        yield "ai_gateway_unpriced_requests_total", labels, 0.0
        yield "ai_gateway_quota_headroom_ratio", labels, noise.uniform(0.4, 0.8)
    for provider in catalog.providers:
        yield "ai_gateway_credentials_issued_total", {"provider": provider}, 0.1
    for _, server, entry in catalog.servers():
        for model in entry.models:
            yield "ai_gateway_local_queue_depth", {"model": model, "server": server}, 2.0


def _of_aliases(catalog: Catalog, noise: random.Random) -> Iterator[_Entry]:
    features = {alias: dict[str, None]() for alias in catalog.aliases}
    for tenant in catalog.tenants.values():
        for alias in catalog.tenant_aliases(tenant):
            features[alias].update(dict.fromkeys(tenant.features))
    for name, alias in catalog.aliases.items():
        calls, own = noise.uniform(5, 50), {"alias": name}
        for step, candidate in enumerate(alias.candidates):
            labels = {**own, **candidate.model_dump(), "fallback_step": str(step)}
            yield "ai_gateway_alias_requests_total", labels, calls * 0.01**step
        for one, other in zip(alias.candidates, alias.candidates[1:], strict=False):
            labels = {**own, "from": one.provider, "to": other.provider, "reason": "UPSTREAM_TIMEOUT"}
            yield "ai_gateway_fallbacks_total", labels, calls * 0.01
        for kind, result in product(("exact", "semantic"), ("hit", "miss")):
            yield "ai_gateway_cache_lookups_total", {**own, "kind": kind, "result": result}, calls / 2
        for kind in ("model", "routing"):
            yield "ai_gateway_refusals_total", {**own, "kind": kind}, calls * 0.001
        yield "ai_gateway_alias_request_duration_seconds", own, calls
        yield "ai_gateway_eval_score", own, 0.9
        for feature in features[name]:
            yield "ai_gateway_response_tokens", {**own, "feature": feature}, calls / len(features[name])
        places = {(candidate.provider, candidate.model) for candidate in alias.candidates}
        for provider, model in sorted(places):
            labels = {"provider": provider, "model": model, **own}
            yield "ai_gateway_postcondition_violations_total", labels, 0.0


def _of_tenants(catalog: Catalog, noise: random.Random) -> Iterator[_Entry]:
    rare = max(1, len(catalog.tenants) // _RARE_TENANTS)
    for number, (name, tenant) in enumerate(catalog.tenants.items()):
        own, aliases = {"tenant": name}, catalog.tenant_aliases(tenant)
        spends = [(feature, alias) for feature in tenant.features for alias in aliases]
        for feature, alias in spends:
            labels = {**own, "feature": feature, "alias": alias}
            yield "ai_gateway_cost_usd_total", labels, usual_spend(tenant.budget_usd_per_month) / len(spends)
        for direction in ("input", "output"):
            yield "ai_gateway_tenant_tokens_total", {**own, "direction": direction}, noise.uniform(1, 100)
        region = catalog.aliases[aliases[0]].candidates[0].region
        for status, calls in (("success", 0.1), ("failure", 0.0002)):
            yield "ai_gateway_tenant_requests_total", {**own, "region": region, "status": status}, calls
        if number < rare:
            yield "ai_gateway_scope_denials_total", own, 0.0
            yield "ai_gateway_zone_violations_total", {**own, "region": region}, 0.0


def _of_the_gateway(catalog: Catalog, noise: random.Random) -> Iterator[_Entry]:
    yield "ai_gateway_price_book_info", {"version": catalog.price_book.version}, 1.0
    yield "ai_gateway_audit_records_total", {}, 0.1002 * len(catalog.tenants)
    yield "ai_gateway_audit_bytes_total", {}, 60.0 * len(catalog.tenants)
    yield "ai_gateway_up", {}, 1.0


def _quota_buckets(catalog: Catalog) -> Iterator[Labels]:
    """(tenant, provider) of the candidates that a tenant can reach, each tenant's first before anybody's second."""
    reached = []
    for name, tenant in catalog.tenants.items():
        candidates = [one for alias in catalog.tenant_aliases(tenant) for one in catalog.aliases[alias].candidates]
        reached.append((name, list(dict.fromkeys(one.provider for one in candidates))))
    for turn in range(max(len(providers) for _, providers in reached)):
        for name, providers in reached:
            if turn < len(providers):
                yield {"tenant": name, "provider": providers[turn]}


_FILLS: tuple[Callable[[Catalog, random.Random], Iterator[_Entry]], ...] = (
    _of_the_gateway,
    _of_offers,
    _of_aliases,
    _of_tenants,
)
