"""Counts audit records into the contract's metrics, as far as a log of calls has them.

What only the gateway knows of itself is not in it: its health, its quota buckets, credentials and queues. A name that the
catalog does not have becomes an empty label, so that callers cannot add series.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

import msgspec
from prometheus_client.metrics_core import Metric as Family

from tiercli.audit.record import ANSWERED, CLIENT_CLOSED, EVAL_SCORE, AuditRecord, Considered, Fall, Usage
from tiercli.catalog.model import Catalog, Offer
from tiercli.exporters.contract_families import Histogram, LabelValues, contract_family, contract_histogram
from tiercli.signals.contract import ERROR_CODES, FAILURE, METRICS_BY_NAME, SUCCESS, UNCLASSIFIED, MetricType
from tiercli.signals.label_policy import MetricPolicy

EVAL_WINDOW_S = 3600.0
# The metrics that a log of calls has; beside them the price book's version and the eval scores.
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
    "ai_gateway_alias_request_duration_seconds",
    "ai_gateway_fallbacks_total",
    "ai_gateway_cache_lookups_total",
    "ai_gateway_tenant_requests_total",
    "ai_gateway_scope_denials_total",
    "ai_gateway_zone_violations_total",
    "ai_gateway_refusals_total",
    "ai_gateway_response_tokens",
    "ai_gateway_postcondition_violations_total",
    "ai_gateway_audit_records_total",
    "ai_gateway_audit_bytes_total",
)
_BUCKETS = {
    name: METRICS_BY_NAME[name].buckets for name in COUNTED if METRICS_BY_NAME[name].type is MetricType.HISTOGRAM
}
_NO_OFFER = Offer("", "", "")
_CACHE_KINDS, _CACHE_RESULTS = ("exact", "semantic"), ("hit", "miss")


@dataclass(slots=True)
class Counted:
    """What was counted: by metric, then by the values of its labels in the contract's order; and the version of the price book:
    the catalog's, and that of the last record that named one."""

    counters: dict[str, defaultdict[LabelValues, float]]
    histograms: dict[str, dict[LabelValues, Histogram]]
    catalog_price_book: str
    price_book: str = ""

    def copy(self) -> Counted:
        """A copy, to be read while counting goes on."""
        histograms = {
            name: {labels: Histogram(list(histogram.counts), histogram.total) for labels, histogram in values.items()}
            for name, values in self.histograms.items()
        }
        counters = {name: values.copy() for name, values in self.counters.items()}
        return Counted(counters, histograms, self.catalog_price_book, self.price_book)

    def families(self, policies: Mapping[str, MetricPolicy], scores: Mapping[str, float]) -> Iterator[Family]:
        """The contract's metrics, as far as a log of calls has them. `scores`: eval scores by alias."""
        for name in COUNTED:
            if name in self.counters:
                yield contract_family(name, self.counters[name], policies)
            else:
                yield contract_histogram(name, self.histograms[name], policies)
        yield contract_family(
            "ai_gateway_price_book_info", {(self.price_book or self.catalog_price_book,): 1.0}, policies
        )
        yield contract_family("ai_gateway_eval_score", {(alias,): score for alias, score in scores.items()}, policies)


class TallyState(msgspec.Struct):
    """Everything that was counted, to be written down and read back."""

    counters: dict[str, list[tuple[LabelValues, float]]] = {}
    histograms: dict[str, list[tuple[LabelValues, Histogram]]] = {}
    scores: dict[str, list[tuple[float, float]]] = {}
    price_book: str = ""
    unknown: int = 0


class Tally:
    """Counts records. `unknown`: how often a record named what the catalog does not have."""

    def __init__(self, catalog: Catalog) -> None:
        self._zones = {name: catalog.regions_of(tenant) for name, tenant in catalog.tenants.items()}
        self._features = {feature for tenant in catalog.tenants.values() for feature in tenant.features}
        self._offers, self._places = set(catalog.offers()), set(catalog.provider_regions())
        self._regions = {region for _, region in self._places}
        # Of each alias the candidates in their order.
        self._steps = {
            name: ["/".join((to.provider, to.model, to.region)) for to in alias.candidates]
            for name, alias in catalog.aliases.items()
        }
        self.counted = Counted(
            {name: defaultdict(float) for name in COUNTED if name not in _BUCKETS},
            {name: {} for name in _BUCKETS},
            catalog.price_book.version,
        )
        self._counters, self._histograms = self.counted.counters, self.counted.histograms
        self._counters["ai_gateway_audit_records_total"][()] = 0.0
        self._counters["ai_gateway_audit_bytes_total"][()] = 0.0
        self.unknown = 0
        self._scores: dict[str, deque[tuple[float, float]]] = defaultdict(deque)

    def add(self, record: AuditRecord, *, size: int = 0, written: bool = True) -> None:
        """Count one record, whose line in the log has `size` bytes; if it could not be `written`, not as a record of the log.
        Raises ValueError for an eval score whose time is not a time."""
        alias = self._known(record.model_alias, self._steps)
        if record.record == EVAL_SCORE:
            if record.score is not None and alias:
                self._scores[alias].append((record.seconds, record.score))
            return
        counters = self._counters
        counters["ai_gateway_audit_records_total"][()] += record.calls * written
        counters["ai_gateway_audit_bytes_total"][()] += size * written
        tenant = self._known(record.tenant, self._zones)
        feature = self._known(record.feature, self._features)
        attempts = _attempts(record)
        for attempt in attempts:
            self._add_attempt(alias, attempt, record.calls)
        self._add_tokens(record, attempts, tenant)
        self._add_falls(record, alias, attempts)
        answered = record.status == SUCCESS or (bool(attempts) and attempts[-1].result == ANSWERED)
        self._add_call(record, attempts, tenant, answered=answered)
        if record.cost_usd:
            counters["ai_gateway_cost_usd_total"][tenant, feature, alias] += record.cost_usd
        if record.price_book_version:
            self.counted.price_book = record.price_book_version
        if answered and attempts and record.cost_usd is None:
            counters["ai_gateway_unpriced_requests_total"][self._offer(attempts[-1])] += record.calls
        if record.status == SUCCESS and alias and record.latency_s is not None and record.calls == 1:
            self._observe("ai_gateway_alias_request_duration_seconds", (alias,), record.latency_s)
        if record.status == SUCCESS and attempts:
            self._add_answer(record, attempts[-1], feature, alias)
        if record.refusal:
            counters["ai_gateway_refusals_total"][alias, record.refusal] += record.calls
        kind, _, result = (record.cache_status or "").rpartition("_")
        if kind in _CACHE_KINDS and result in _CACHE_RESULTS:
            counters["ai_gateway_cache_lookups_total"][alias, kind, result] += 1

    def scores(self, now: float) -> dict[str, float]:
        """The mean eval score of the hour before `now`, by alias; aliases without scores are left out."""
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
            {name: list(values.items()) for name, values in self._counters.items()},
            {name: list(values.items()) for name, values in self._histograms.items()},
            {alias: list(scores) for alias, scores in self._scores.items()},
            self.counted.price_book,
            self.unknown,
        )

    def restore(self, state: TallyState) -> None:
        """Go on from `state`. What the contract does not have in that form (any more) is left out."""
        for name, values in state.counters.items():
            if name in self._counters:
                width = len(METRICS_BY_NAME[name].labels)
                self._counters[name].update({labels: value for labels, value in values if len(labels) == width})
        for name, histograms in state.histograms.items():
            if name in self._histograms:
                size = len(_BUCKETS[name]) + 1
                kept = {labels: histogram for labels, histogram in histograms if len(histogram.counts) == size}
                self._histograms[name].update(kept)
        for alias, scores in state.scores.items():
            self._scores[alias] = deque(scores)
        self.counted.price_book, self.unknown = state.price_book, state.unknown

    def _known(self, name: str | None, names: Container[str]) -> str:
        if name is None or name in names:
            return name or ""
        self.unknown += bool(name)
        return ""

    def _offer(self, attempt: Considered) -> Offer:
        """For a model that is not offered in a place, only the place."""
        offer = Offer(attempt.provider, attempt.model_version, attempt.region)
        if offer in self._offers:
            return offer
        return Offer(offer.provider, "", offer.region) if (offer.provider, offer.region) in self._places else _NO_OFFER

    def _add_attempt(self, alias: str, attempt: Considered, calls: int) -> None:
        offer, counters = self._offer(attempt), self._counters
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
        """The tokens of each attempt, if the record has them; else those of the call, at the last attempt."""
        used = [(attempt, attempt.usage) for attempt in attempts if attempt.usage is not None]
        if not used and attempts and record.usage is not None:
            used = [(attempts[-1], record.usage)]
        for attempt, usage in used:
            offer = self._offer(attempt)
            for direction, tokens in _directions(usage):
                self._counters["ai_gateway_tokens_total"][*offer, direction] += tokens
                self._counters["ai_gateway_tenant_tokens_total"][tenant, direction] += tokens

    def _add_falls(self, record: AuditRecord, alias: str, attempts: list[Considered]) -> None:
        """As the record lists them; else attempts at different candidates in a row. Two at the same candidate are a retry."""
        route = record.route_resolution
        falls = route.fallbacks if route is not None else None
        if falls is None:
            names = [_candidate(attempt) for attempt in attempts]
            steps = zip(names, names[1:], attempts, strict=False)
            falls = tuple(
                Fall(name, following, attempt.result) for name, following, attempt in steps if name != following
            )
        known = self._steps.get(alias, [])
        for fall in falls:
            if fall.from_ in known and fall.to in known:
                self._counters["ai_gateway_fallbacks_total"][alias, fall.from_, fall.to, _code(fall.reason)] += 1

    def _add_call(self, record: AuditRecord, attempts: list[Considered], tenant: str, *, answered: bool) -> None:
        used, counters = record.model_used, self._counters
        status = SUCCESS if record.status == SUCCESS else FAILURE
        last = attempts[-1].region if attempts else ""
        served = record.region or (used.region if used is not None else last)
        region = served if served in self._regions else ""
        counters["ai_gateway_tenant_requests_total"][tenant, region, status] += record.calls
        allowed = self._zones.get(tenant)
        if served and answered and allowed is not None and served not in allowed:
            counters["ai_gateway_zone_violations_total"][tenant, region] += record.calls
        if record.scope_denied:
            counters["ai_gateway_scope_denials_total"][tenant,] += record.calls

    def _add_answer(self, record: AuditRecord, attempt: Considered, feature: str, alias: str) -> None:
        """Counted at the candidate that was called: another region may have served the call."""
        if alias:
            steps, step = self._steps[alias], record.fallback_step
            if step is None or not 0 <= step < len(steps):
                candidate = _candidate(attempt)
                step = steps.index(candidate) if candidate in steps else None
            number = "" if step is None else str(step)
            self._counters["ai_gateway_alias_requests_total"][alias, *self._offer(attempt), number] += record.calls
        if record.usage is not None and record.calls == 1:
            self._observe("ai_gateway_response_tokens", (alias, feature), record.usage.output_tokens)

    def _observe(self, name: str, labels: LabelValues, value: float) -> None:
        histogram = self._histograms[name].get(labels)
        if histogram is None:
            histogram = self._histograms[name][labels] = Histogram.of(METRICS_BY_NAME[name])
        histogram.observe(value, _BUCKETS[name])


def _attempts(record: AuditRecord) -> list[Considered]:
    """The attempts as the record lists them; else one at the model that was used. Where the client hung up it answered if there
    was some of an answer; else its result is not known, and it does not count as tried."""
    route, used = record.route_resolution, record.model_used
    tried = (
        [candidate for candidate in route.considered if candidate.latency_s is not None] if route is not None else []
    )
    if tried or used is None:
        return tried
    begun = record.code == CLIENT_CLOSED and record.usage is not None and record.usage.output_tokens > 0
    if record.code == CLIENT_CLOSED and not begun:
        return []
    result = ANSWERED if begun or record.status == SUCCESS else record.code or UNCLASSIFIED
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
