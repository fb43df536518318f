"""The raw series of a quiet month as promtool's input: a gateway of two replicas, local servers and GPUs, a sample a minute.

Calls follow day and night and the weekend, and are Poisson; latencies are lognormal around what the catalog calls typical.
Replicas restart three times a week, two deploys have a minute of refused connections, Prometheus pauses for three minutes, one
replica cannot be scraped for three, and one tenant begins to call on the tenth day. The same seed gives the same month.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from tests.bench.exposition import Labels, series_text
from tiercli.catalog.model import Catalog, Typical
from tiercli.conventions import GATEWAY_JOB
from tiercli.signals.contract import DURATION_BUCKETS

DAY = 1440  # minutes
NEWCOMER = "umbrella-press"
NEWCOMER_DAY = 10
_GPUS_JOB, _SERVERS_JOB, _OWN_JOB = "tiercli-source-gpus", "tiercli-servers", "tiercli-prometheus"
_IST_MINUTES = 330
_RESTARTS = ((0, 6.0), (2, 9.5), (5, 14.0))  # weekday of the first of January 1970 on, hour
_DEPLOY_DAYS = (8, 12)
_DEPLOY_HOUR = 7.5
_PAUSED_DAY, _RESTARTED_DAY, _UNSCRAPED_DAY = 9, 11, 12
EVENTFUL_DAYS = range(8, 13)  # from a Friday to a Tuesday: all of these are in them, and restarts
# By the hour in India: a mean of one on a workday, and a weekend of 0.4 times that.
_HOURS = (.25, .2, .18, .18, .2, .3, .5, .8, 1.2, 1.6, 1.9, 2.0, 1.9, 1.7, 1.8, 1.9, 1.8, 1.6, 1.3, 1.0, .8, .6, .45, .35)  # fmt: skip
_WEEKEND = 0.4
# Calls a minute of a tenant, on the mean of a workday.
_CALLS = {"acme-corp": 120.0, "globex-media": 80.0, "initech-news": 40.0, "internal-tools": 6.0, NEWCOMER: 25.0}
_TOKENS = {"input": 2400.0, "output": 300.0, "cache_read": 800.0, "cache_write": 100.0}
_SPREAD = 0.8  # of the tokens of a call: the standard deviation over the mean
_FALLEN = 0.01
# Of the attempts, beside the failures that the catalog calls typical.
_INVALID, _THROTTLED = 0.002, 0.0001
_FAILURES = {"UPSTREAM_ERROR": 0.5, "UPSTREAM_TIMEOUT": 0.35, "CONNECTION_FAILED": 0.15}
_REFUSED = 0.002
_A_DAY = 1 / DAY
_UNKNOWN, _BROKEN = 0.1 * _A_DAY, 0.1 * _A_DAY  # unclassified errors, postcondition violations: a few a month
_REFUSED_AT_DEPLOY = 0.03

Line = tuple[str, str]  # a series, and its values as promtool reads them
Means = Sequence[float]  # of each minute


@dataclass(frozen=True, slots=True)
class Target:
    """What is scraped: its labels, and by minute ` ` for a sample, `d` where the scrape failed, `p` where none was made; `r`: the
    first sample after a restart."""

    labels: Labels
    scrapes: str


def poisson(noise: random.Random, mean: float) -> int:
    """How many, where `mean` are expected."""
    if mean > 40:
        return max(0, round(noise.gauss(mean, math.sqrt(mean))))
    drawn, chance, count = noise.random(), math.exp(-mean), 0
    while drawn > chance and count < 200:
        drawn -= chance
        count += 1
        chance *= mean / count
    return count


def counter(target: Target, grown: Sequence[float], *, born: bool) -> str:
    """The values of a counter that grows so much each minute. With `born` it is there from the start, otherwise from its first
    event on, as a client library has it; that is so again after a restart."""
    values, total, shown, was = [], 0.0, born, False
    for scrape, more in zip(target.scrapes, grown, strict=True):
        if scrape == "r":
            total, shown = 0.0, born
        total += more
        shown = shown or more > 0
        if scrape in " r" and shown:
            values.append(f"{total:.10g}")
            was = True
        else:
            values.append("stale" if was and scrape != "p" else "_")
            was = was and scrape == "p"
    return " ".join(values)


def gauge(target: Target, value: Sequence[float]) -> str:
    """The values of a gauge."""
    before = "p" + target.scrapes
    return " ".join(
        f"{at:.4g}" if scrape in " r" else "stale" if scrape == "d" and before[minute] != "d" else "_"
        for minute, (scrape, at) in enumerate(zip(target.scrapes, value, strict=True))
    )


def up(target: Target) -> Line:
    """The series that Prometheus adds to each scrape."""
    values = {" ": "1", "r": "1", "d": "0", "p": "_"}
    return series_text("up", target.labels), " ".join(values[scrape] for scrape in target.scrapes)


def attempts(
    target: Target,
    offer: Labels,
    noise: random.Random,
    calls: Means,
    usual: Callable[[int], Typical],
    codes: dict[str, Means],
) -> Iterator[Line]:
    """Requests, errors and durations of one offer at one replica. `calls`: attempts expected each minute; `usual`: what is typical
    in a minute; `codes`: of each code the share of attempts that fail so."""
    minutes = range(len(calls))
    failed = {code: [poisson(noise, calls[at] * share[at]) for at in minutes] for code, share in codes.items()}
    shares: dict[Typical, list[float]] = {}
    buckets: list[list[int]] = [[] for _ in range(len(DURATION_BUCKETS) + 1)]
    answered = []
    for at in minutes:
        typical = usual(at)
        if typical not in shares:
            shares[typical] = _bucket_shares(typical)
        below = 0
        for bucket, share in zip(buckets, shares[typical], strict=True):
            mean = calls[at] * share
            below += poisson(noise, mean) if mean > 1e-6 else 0
            bucket.append(below)
        answered.append(below)
    own = {**target.labels, **offer}
    failures = [sum(counts) for counts in zip(*failed.values(), strict=True)] if failed else [0] * len(calls)
    for status, counts in (("success", answered), ("failure", failures)):
        yield series_text("ai_gateway_requests_total", own | {"status": status}), counter(target, counts, born=False)
    for code, counts in failed.items():
        if any(counts):
            yield series_text("ai_gateway_errors_total", own | {"code": code}), counter(target, counts, born=False)
    for bound, bucket in zip((*DURATION_BUCKETS, math.inf), buckets, strict=True):
        le = "+Inf" if bound == math.inf else f"{bound:g}"
        name = series_text("ai_gateway_request_duration_seconds_bucket", own | {"le": le})
        yield name, counter(target, bucket, born=False)
    for direction, mean in _TOKENS.items():
        name = series_text("ai_gateway_tokens_total", own | {"direction": direction})
        yield name, counter(target, [_sum_of(noise, count, mean) for count in answered], born=False)


def targets(catalog: Catalog, minutes: int) -> dict[str, list[Target]]:
    """All that is scraped, by job, with its restarts and gaps."""
    paused = [_PAUSED_DAY * DAY + 615 + extra for extra in range(3)] + [_RESTARTED_DAY * DAY + 400]
    unscraped = [_UNSCRAPED_DAY * DAY + 500 + extra for extra in range(3)]

    def target(labels: Labels, delay: int, down: Sequence[int] = ()) -> Target:
        scrapes = [" "] * minutes
        for restart in _restarts(minutes):
            if restart + delay + 1 < minutes:
                scrapes[restart + delay : restart + delay + 2] = "dr"
        for at in down:
            if at < minutes:
                scrapes[at] = "d"
        for at in paused:
            if at < minutes:
                scrapes[at] = "p"
        return Target(labels, "".join(scrapes))

    found = {
        GATEWAY_JOB: [
            target({"job": GATEWAY_JOB, "instance": address}, 5 * number, unscraped if number else ())
            for number, address in enumerate(catalog.gateway.targets)
        ],
        _SERVERS_JOB: [
            target({"job": _SERVERS_JOB, "instance": str(server.metrics), "server": name}, 20 + 10 * number)
            for number, (_, name, server) in enumerate(catalog.servers())
        ],
        _GPUS_JOB: [
            target({"job": _GPUS_JOB, "instance": address}, 40 + 5 * number)
            for number, address in enumerate(catalog.sources["gpus"].targets)
        ],
    }
    own = Target({"job": _OWN_JOB, "instance": catalog.prometheus.target}, "".join(target({}, minutes).scrapes))
    return {**found, _OWN_JOB: [own]}


def quiet_month(catalog: Catalog, minutes: int, seed: int) -> Iterator[Line]:
    """Every series that an alarm reads, directly or not."""
    scraped = targets(catalog, minutes)
    for target in (one for job in scraped.values() for one in job):
        yield up(target)
    noise = random.Random(seed)
    loads = {tenant: _load(noise, minutes, tenant) for tenant in catalog.tenants}
    replicas = scraped[GATEWAY_JOB]
    for replica in replicas:
        yield from _calls(catalog, replica, noise, loads, len(replicas))
        yield from _offers(catalog, replica, noise, loads, len(replicas))
        yield from _gauges(catalog, replica, noise, minutes, loads)
    busy = loads["acme-corp"]
    for target, (_, _, server) in zip(scraped[_SERVERS_JOB], catalog.servers(), strict=True):
        for model in server.models:
            waiting = [poisson(noise, load) + (12 if noise.random() < 0.002 else 0) for load in busy]
            labels = {**target.labels, "model_name": model, "engine": "0"}
            yield series_text("vllm:num_requests_waiting", labels), gauge(target, waiting)
    for target, gpu in product(scraped[_GPUS_JOB], range(4)):
        used = [min(1.0, max(0.0, noise.gauss(0.25 + 0.2 * load, 0.06))) for load in busy]
        labels = {**target.labels, "gpu": str(gpu), "uuid": f"GPU-{gpu}", "name": "NVIDIA H100"}
        yield series_text("tiercli_gpu_utilization_ratio", labels), gauge(target, used)


def _calls(
    catalog: Catalog, replica: Target, noise: random.Random, loads: dict[str, Means], replicas: int
) -> Iterator[Line]:
    minutes = len(replica.scrapes)
    of_alias: dict[str, list[int]] = {alias: [0] * minutes for alias in catalog.aliases}
    all_calls = [0] * minutes
    for tenant, entry in catalog.tenants.items():
        cells = [(feature, alias) for feature in entry.features for alias in catalog.tenant_aliases(entry)]
        regions: dict[str, list[int]] = {}
        for feature, alias in cells:
            mean = _CALLS[tenant] / len(cells) / replicas
            calls = [poisson(noise, mean * load) for load in loads[tenant]]
            region = catalog.aliases[alias].candidates[0].region
            regions[region] = _added(regions.get(region, [0] * minutes), calls)
            of_alias[alias] = _added(of_alias[alias], calls)
            spent = [_sum_of(noise, count, _usd_a_call(catalog, alias)) for count in calls]
            labels = {**replica.labels, "tenant": tenant, "feature": feature, "alias": alias}
            yield series_text("ai_gateway_cost_usd_total", labels), counter(replica, spent, born=False)
        for region, counts in regions.items():
            all_calls = _added(all_calls, counts)
            labels = {**replica.labels, "tenant": tenant, "region": region, "status": "success"}
            yield series_text("ai_gateway_tenant_requests_total", labels), counter(replica, counts, born=False)
    # A record in two thousand is lost.
    kept = [count - poisson(noise, count / 2000) for count in all_calls]
    yield series_text("ai_gateway_audit_records_total", replica.labels), counter(replica, kept, born=True)
    for alias, calls in of_alias.items():
        own, candidates = {**replica.labels, "alias": alias}, catalog.aliases[alias].candidates
        for step, candidate in enumerate(candidates):
            share = _FALLEN**step
            counts = calls if step == 0 else [poisson(noise, count * share) for count in calls]
            labels = {**own, **candidate.model_dump(), "fallback_step": str(step)}
            yield series_text("ai_gateway_alias_requests_total", labels), counter(replica, counts, born=False)
            labels = {**own, "provider": candidate.provider, "model": candidate.model}
            broken = [poisson(noise, _BROKEN / len(candidates)) for _ in calls]
            if any(broken):
                name = series_text("ai_gateway_postcondition_violations_total", labels)
                yield name, counter(replica, broken, born=False)
        refused = [poisson(noise, count * _REFUSED) for count in calls]
        yield series_text("ai_gateway_refusals_total", own | {"kind": "model"}), counter(replica, refused, born=False)
        labels = {**own, "feature": "all"}
        tokens = [_sum_of(noise, count, _TOKENS["output"]) for count in calls]
        yield series_text("ai_gateway_response_tokens_sum", labels), counter(replica, tokens, born=False)
        yield series_text("ai_gateway_response_tokens_count", labels), counter(replica, calls, born=False)


def _offers(
    catalog: Catalog, replica: Target, noise: random.Random, loads: dict[str, Means], replicas: int
) -> Iterator[Line]:
    minutes = len(replica.scrapes)
    wanted = {offer: [0.0] * minutes for offer in catalog.offers()}
    for tenant in catalog.tenants:
        aliases = catalog.tenant_aliases(catalog.tenants[tenant])
        for alias in aliases:
            for step, one in enumerate(catalog.aliases[alias].candidates):
                mean = _CALLS[tenant] / len(aliases) / replicas * _FALLEN**step
                offer = next(o for o in wanted if o == (one.provider, one.model, one.region))
                wanted[offer] = [sum_ + mean * load for sum_, load in zip(wanted[offer], loads[tenant], strict=True)]
    for offer, calls in wanted.items():
        typical = catalog.providers[offer.provider].regions[offer.region].typical
        if typical is None:
            continue
        by_hour = [_slower(typical, 0.94 + 0.06 * load) for load in _HOURS]
        unknown = [_UNKNOWN / max(count, 0.01) / replicas for count in calls]
        codes = {code: [typical.error_ratio * share] * minutes for code, share in _FAILURES.items()}
        codes |= {"INVALID_REQUEST": [_INVALID] * minutes, "RATE_LIMITED": [_THROTTLED] * minutes}
        codes["UPSTREAM_UNCLASSIFIED"] = unknown
        for day in _DEPLOY_DAYS:
            # Half of the minute falls into each of two scrapes.
            at = round(day * DAY + _DEPLOY_HOUR * 60)
            if at + 1 < minutes:
                codes["CONNECTION_FAILED"][at : at + 2] = [_REFUSED_AT_DEPLOY / 2] * 2
        yield from attempts(
            replica,
            offer._asdict(),
            noise,
            calls,
            lambda at, usual=by_hour: usual[_hour(at)],
            codes,  # type: ignore[misc]
        )


def _gauges(
    catalog: Catalog, replica: Target, noise: random.Random, minutes: int, loads: dict[str, Means]
) -> Iterator[Line]:
    yield series_text("ai_gateway_up", replica.labels), gauge(replica, [1.0] * minutes)
    for name, alias in catalog.aliases.items():
        if alias.eval_baseline is not None:
            hours = [noise.gauss(alias.eval_baseline, 0.004) for _ in range(minutes // 60 + 1)]
            score = [hours[at // 60] for at in range(minutes)]
            yield series_text("ai_gateway_eval_score", {**replica.labels, "alias": name}), gauge(replica, score)
    for tenant in catalog.tenants:
        aliases = catalog.tenant_aliases(catalog.tenants[tenant])
        for provider in sorted({one.provider for alias in aliases for one in catalog.aliases[alias].candidates}):
            labels = {**replica.labels, "tenant": tenant, "provider": provider}
            fill = [0.1 + 0.25 * load for load in loads[tenant]]
            yield series_text("ai_gateway_quota_bucket_fill_ratio", labels), gauge(replica, fill)


def _hour(minute: int) -> int:
    return (minute + _IST_MINUTES) // 60 % 24


def _load(noise: random.Random, minutes: int, tenant: str) -> list[float]:
    """How busy a tenant is, around one: the hour, the weekend, and a slow wander of a tenth."""
    loads, wander = [], 0.0
    begins = NEWCOMER_DAY * DAY + 240 if tenant == NEWCOMER else 0
    for minute in range(minutes):
        if minute % 10 == 0:
            wander = 0.9 * wander + noise.gauss(0, 0.04)
        local = minute + _IST_MINUTES
        now, then, part = _HOURS[local // 60 % 24], _HOURS[(local // 60 + 1) % 24], local % 60 / 60
        weekend = (local // DAY + 3) % 7 >= 5  # the first of January 1970 was a Thursday
        shape = (now + (then - now) * part) * (_WEEKEND if weekend else 1.0)
        loads.append(shape * math.exp(wander) if minute >= begins else 0.0)
    return loads


def _restarts(minutes: int) -> Iterator[int]:
    for week in range(minutes // (7 * DAY) + 1):
        for day, hour in _RESTARTS:
            yield round((week * 7 + day) * DAY + hour * 60)


def _slower(typical: Typical, factor: float) -> Typical:
    seconds = {name: getattr(typical, name) * factor for name in ("p50_seconds", "p95_seconds")}
    return typical.model_copy(update=seconds)


def _bucket_shares(typical: Typical) -> list[float]:
    """Of the answered attempts, the share within each bucket and not within the one before."""
    sigma = math.log(typical.p95_seconds / typical.p50_seconds) / 1.645
    within = [
        0.5 * (1 + math.erf(math.log(bound / typical.p50_seconds) / sigma / math.sqrt(2))) for bound in DURATION_BUCKETS
    ]
    return [after - before for before, after in zip([0.0, *within], [*within, 1.0], strict=True)]


def _usd_a_call(catalog: Catalog, alias: str) -> float:
    first = catalog.aliases[alias].candidates[0]
    prices = catalog.price_book.models.get(first.provider, {}).get(first.model)
    if prices is None:
        return 0.0004
    return sum(_TOKENS[name] * (getattr(prices, name) or 0.0) for name in _TOKENS) / 1e6


def _sum_of(noise: random.Random, count: int, mean: float) -> float:
    if count == 0:
        return 0.0
    return max(0.1 * mean * count, mean * (count + _SPREAD * math.sqrt(count) * noise.gauss(0, 1)))


def _added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]
