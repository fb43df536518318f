"""What audit records add up to: the contract's metrics, as far as a log of calls can say them.

Not in it is what only the gateway knows of itself: its health, its quota buckets, credentials and queues. A name that the
catalog does not have becomes an empty label, so that what a caller sends cannot add a series.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Container, Iterator

import msgspec

from tiercli.audit.record import ANSWERED, EVAL_SCORE, AuditRecord, Considered, Fall, Usage
from tiercli.catalog.model import Catalog, Offer
from tiercli.signals.contract import ERROR_CODES, FAILURE, METRICS_BY_NAME, SUCCESS, MetricType

LabelValues = tuple[str, ...]
EVAL_WINDOW_S = 3600.0
UNCLASSIFIED = "UPSTREAM_UNCLASSIFIED"
# What a log of calls can say, by the names of the contract; beside it the price book's version and the eval scores.
COUNTED = (
    "ai_gateway_requests_total",
    "ai_gateway_errors_total",
    "ai_gateway_request_duration_seconds",
    "ai_gateway_time_to_first_token_seconds",
    "ai_gateway_tokens_total",
    "ai_gateway_cost_usd_total",
    "ai_gateway_unpriced_requests_total",
    "ai_gateway_tenant_tokens_total",
    "ai_gateway_alias_requests_total",
    "ai_gateway_fallbacks_total",
    "ai_gateway_cache_lookups_total",
    "ai_gateway_tenant_requests_total",
    "ai_gateway_scope_denials_total",
    "ai_gateway_zone_violations_total",
    "ai_gateway_refusals_total",
    "ai_gateway_response_tokens",
    "ai_gateway_postcondition_violations_total",
    "ai_gateway_audit_records_total",
)
_BUCKETS = {
    name: METRICS_BY_NAME[name].buckets for name in COUNTED if METRICS_BY_NAME[name].type is MetricType.HISTOGRAM
}
_NO_OFFER = Offer("", "", "")
_CACHE_KINDS, _CACHE_RESULTS = ("exact", "semantic"), ("hit", "miss")


class Histogram(msgspec.Struct):
    """Observations by bucket, each in its own only, the last of them +Inf; and the sum of what was observed."""

    counts: list[int]
    total: float = 0.0


class TallyState(msgspec.Struct):
    """Everything that was counted, to be written down and read back."""

    counters: dict[str, list[tuple[LabelValues, float]]] = {}
    histograms: dict[str, list[tuple[LabelValues, Histogram]]] = {}
    scores: dict[str, list[tuple[float, float]]] = {}
    price_book: str = ""
    unknown: int = 0


class Tally:
    """Counts records. `counters` and `histograms` are by metric, then by the values of its labels in the contract's
    order; `unknown` is how often a record named what the catalog does not have."""

    def __init__(self, catalog: Catalog) -> None:
        self._zones = {name: catalog.zones[tenant.zone].regions for name, tenant in catalog.tenants.items()}
        self._features = {feature for tenant in catalog.tenants.values() for feature in tenant.features}
        self._offers = {tuple(offer): offer for offer in catalog.offers()}
        self._places = {place: Offer(place[0], "", place[1]) for place in catalog.provider_regions()}
        self._regions = {region for _, region in self._places}
        # Of each alias the candidates, by name as fallbacks are counted, in their order.
        self._steps: dict[str, dict[str, str]] = {
            name: {f"{one.provider}/{one.model}/{one.region}": str(step) for step, one in enumerate(alias.candidates)}
            for name, alias in catalog.aliases.items()
        }
        self.counters: dict[str, defaultdict[LabelValues, float]] = {
            name: defaultdict(float) for name in COUNTED if name not in _BUCKETS
        }
        self.counters["ai_gateway_audit_records_total"][()] = 0.0
        self.histograms: dict[str, dict[LabelValues, Histogram]] = {name: {} for name in _BUCKETS}
        self.price_book = ""
        self.unknown = 0
        self._scores: dict[str, deque[tuple[float, float]]] = defaultdict(deque)

    def add(self, record: AuditRecord, *, written: bool = True) -> None:
        """Count one record; not as one of the log where it could not be `written`. Raises ValueError for an eval score whose
        time is none."""
        alias = self._known(record.model_alias, self._steps)
        if record.record == EVAL_SCORE:
            if record.score is not None and alias:
                self._scores[alias].append((record.seconds, record.score))
            return
        counters = self.counters
        counters["ai_gateway_audit_records_total"][()] += record.calls * written
        tenant = self._known(record.tenant, self._zones)
        feature = self._known(record.feature, self._features)
        attempts = _attempts(record)
        for attempt in attempts:
            self._add_attempt(alias, attempt, record.calls)
        self._add_tokens(record, attempts, tenant)
        self._add_falls(record, alias, attempts)
        self._add_call(record, attempts, tenant)
        if record.cost_usd:
            counters["ai_gateway_cost_usd_total"][tenant, feature, alias] += record.cost_usd
        if record.price_book_version:
            self.price_book = record.price_book_version
        if record.status == SUCCESS and attempts:
            self._add_answer(record, attempts[-1], feature, alias)
        if record.refusal:
            counters["ai_gateway_refusals_total"][alias, record.refusal] += record.calls
        kind, _, result = (record.cache_status or "").rpartition("_")
        if kind in _CACHE_KINDS and result in _CACHE_RESULTS:
            counters["ai_gateway_cache_lookups_total"][alias, kind, result] += 1

    def scores(self, now: float) -> dict[str, float]:
        """The mean eval score of the hour before `now`, by alias; an alias without any is not there."""
        means = {}
        for alias, scores in self._scores.items():
            while scores and scores[0][0] <= now - EVAL_WINDOW_S:
                scores.popleft()
            if scores:
                means[alias] = sum(score for _, score in scores) / len(scores)
        return means

    def state(self) -> TallyState:
        """Everything that was counted."""
        return TallyState(
            {name: list(values.items()) for name, values in self.counters.items()},
            {name: list(values.items()) for name, values in self.histograms.items()},
            {alias: list(scores) for alias, scores in self._scores.items()},
            self.price_book,
            self.unknown,
        )

    def restore(self, state: TallyState) -> None:
        """Go on from `state`. What the contract does not have in that form (any more) is left behind."""
        for name, values in state.counters.items():
            if name in self.counters:
                width = len(METRICS_BY_NAME[name].labels)
                self.counters[name].update({labels: value for labels, value in values if len(labels) == width})
        for name, histograms in state.histograms.items():
            if name in self.histograms:
                size = len(_BUCKETS[name]) + 1
                self.histograms[name].update({labels: one for labels, one in histograms if len(one.counts) == size})
        for alias, scores in state.scores.items():
            self._scores[alias] = deque(scores)
        self.price_book, self.unknown = state.price_book, state.unknown

    def _known(self, name: str | None, names: Container[str]) -> str:
        if name is None or name in names:
            return name or ""
        self.unknown += bool(name)
        return ""

    def _offer(self, attempt: Considered) -> Offer:
        """Of a model that is not offered there, the place alone is known."""
        offer = self._offers.get((attempt.provider, attempt.model_version, attempt.region))
        return offer or self._places.get((attempt.provider, attempt.region), _NO_OFFER)

    def _add_attempt(self, alias: str, attempt: Considered, calls: int) -> None:
        offer, counters = self._offer(attempt), self.counters
        self.unknown += not offer.model
        failed = attempt.result != ANSWERED
        counters["ai_gateway_requests_total"][*offer, FAILURE if failed else SUCCESS] += calls
        if attempt.latency_s is not None and calls == 1:
            self._observe("ai_gateway_request_duration_seconds", offer, attempt.latency_s)
        if attempt.ttft_s is not None and calls == 1:
            self._observe("ai_gateway_time_to_first_token_seconds", offer, attempt.ttft_s)
        if failed:
            counters["ai_gateway_errors_total"][*offer, _code(attempt.result)] += calls
        if attempt.result == "POSTCONDITION_FAILED":
            counters["ai_gateway_postcondition_violations_total"][offer.provider, offer.model, alias] += calls

    def _add_tokens(self, record: AuditRecord, attempts: list[Considered], tenant: str) -> None:
        """Of each attempt, where the record has that; else of the call, at the last attempt."""
        used = [(attempt, attempt.usage) for attempt in attempts if attempt.usage is not None]
        if not used and attempts and record.usage is not None:
            used = [(attempts[-1], record.usage)]
        for attempt, usage in used:
            offer = self._offer(attempt)
            for direction, tokens in _directions(usage):
                self.counters["ai_gateway_tokens_total"][*offer, direction] += tokens
                self.counters["ai_gateway_tenant_tokens_total"][tenant, direction] += tokens

    def _add_falls(self, record: AuditRecord, alias: str, attempts: list[Considered]) -> None:
        """As the record lists them; else attempts at one candidate after another: two at the same are a retry."""
        route = record.route_resolution
        falls = route.fallbacks if route is not None else None
        if falls is None:
            names = [_candidate(attempt) for attempt in attempts]
            steps = zip(names, names[1:], attempts, strict=False)
            falls = tuple(Fall(one, other, last.result) for one, other, last in steps if one != other)
        known = self._steps.get(alias, {})
        for fall in falls:
            if fall.from_ in known and fall.to in known:
                self.counters["ai_gateway_fallbacks_total"][alias, fall.from_, fall.to, _code(fall.reason)] += 1

    def _add_call(self, record: AuditRecord, attempts: list[Considered], tenant: str) -> None:
        used, failed, counters = record.model_used, record.status != SUCCESS, self.counters
        last = attempts[-1].region if attempts else ""
        served = record.region or (used.region if used is not None else last)
        region = served if served in self._regions else ""
        counters["ai_gateway_tenant_requests_total"][tenant, region, FAILURE if failed else SUCCESS] += record.calls
        allowed = self._zones.get(tenant)
        if served and not failed and allowed is not None and served not in allowed:
            counters["ai_gateway_zone_violations_total"][tenant, region] += record.calls
        if record.scope_denied:
            counters["ai_gateway_scope_denials_total"][tenant,] += record.calls

    def _add_answer(self, record: AuditRecord, attempt: Considered, feature: str, alias: str) -> None:
        """Counted at the candidate that was asked: it may have been served in another region."""
        offer = self._offer(attempt)
        if record.cost_usd is None:
            self.counters["ai_gateway_unpriced_requests_total"][offer] += record.calls
        if alias:
            steps, step = self._steps[alias], str(record.fallback_step)
            number = step if step in steps.values() else steps.get(_candidate(attempt), "")
            self.counters["ai_gateway_alias_requests_total"][alias, *offer, number] += record.calls
        if record.usage is not None and record.calls == 1:
            self._observe("ai_gateway_response_tokens", (alias, feature), record.usage.output_tokens)

    def _observe(self, name: str, labels: LabelValues, value: float) -> None:
        histogram = self.histograms[name].get(labels)
        if histogram is None:
            histogram = self.histograms[name][labels] = Histogram([0] * (len(_BUCKETS[name]) + 1))
        histogram.counts[bisect_left(_BUCKETS[name], value)] += 1
        histogram.total += value


def _attempts(record: AuditRecord) -> list[Considered]:
    """What was tried: as the record lists it; else the one that is said to have been used."""
    route, used = record.route_resolution, record.model_used
    tried = [one for one in route.considered if one.latency_s is not None] if route is not None else []
    if tried or used is None:
        return tried
    result = ANSWERED if record.status == SUCCESS else record.code or UNCLASSIFIED
    return [Considered(result, used.provider, used.model_version, used.region, record.latency_s, record.ttft_s)]


def _candidate(attempt: Considered) -> str:
    return f"{attempt.provider}/{attempt.model_version}/{attempt.region}"


def _code(text: str) -> str:
    return text if text in ERROR_CODES else UNCLASSIFIED


def _directions(usage: Usage) -> Iterator[tuple[str, int]]:
    for direction, tokens in (
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("cache_read", usage.cache_read_tokens),
        ("cache_write", usage.cache_write_tokens),
    ):
        if tokens:
            yield direction, tokens
