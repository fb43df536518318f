"""The canonical metric contract: what a gateway (or a source binding in its place) reports of the estate.

Requests, errors, duration, time to first token and tokens count upstream attempts, so that a fallback cannot hide a
dead provider; tenant requests and the duration by alias count client calls; one audit record is counted per client call, where it was durably
written.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MetricType(StrEnum):
    """The Prometheus type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


# Seconds. Client defaults stop at 10 s; a quantile cannot exceed the last finite bucket.
DURATION_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 5, 7.5, 10, 15, 20, 30, 60, 120)
TOKEN_BUCKETS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)

SUCCESS = "success"
FAILURE = "failure"
UNCLASSIFIED = "UPSTREAM_UNCLASSIFIED"
ERROR_CODES = (
    "UPSTREAM_TIMEOUT",
    "RATE_LIMITED",
    "INVALID_REQUEST",
    "UPSTREAM_ERROR",
    "CONNECTION_FAILED",
    "AUTH_FAILED",
    "MODEL_NOT_FOUND",
    UNCLASSIFIED,
    "POSTCONDITION_FAILED",
)
# What callers cause, or an alarm of its own reports: CloudErrorRateHigh, whose limit is the same for all, leaves it out.
# ProviderErrorRateHigh counts it: what is usual of it is in the baseline.
CODES_OF_NO_OUTAGE = ("RATE_LIMITED", "INVALID_REQUEST", "POSTCONDITION_FAILED")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the contract. `labels` are what the exporter sets; the scrape adds job and instance."""

    name: str
    type: MetricType
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()

    @property
    def exposed_names(self) -> tuple[str, ...]:
        """The sample names of this metric in an exposition."""
        if self.type is MetricType.HISTOGRAM:
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)


_C, _G, _H = MetricType.COUNTER, MetricType.GAUGE, MetricType.HISTOGRAM
_OFFER = ("provider", "model", "region")

CONTRACT: tuple[Metric, ...] = (
    Metric("ai_gateway_requests_total", _C, (*_OFFER, "status"), "Upstream attempts."),
    Metric("ai_gateway_errors_total", _C, (*_OFFER, "code"), "Failed upstream attempts by structured error code."),
    Metric(
        "ai_gateway_request_duration_seconds", _H, _OFFER, "Duration of upstream attempts, seconds.", DURATION_BUCKETS
    ),
    Metric(
        "ai_gateway_time_to_first_token_seconds",
        _H,
        _OFFER,
        "Time to the first token of streamed attempts, seconds.",
        DURATION_BUCKETS,
    ),
    Metric("ai_gateway_tokens_total", _C, (*_OFFER, "direction"), "Tokens: input, output, cache_read, cache_write."),
    Metric("ai_gateway_cost_usd_total", _C, ("tenant", "feature", "alias"), "Spend by the price book, US dollars."),
    Metric("ai_gateway_unpriced_requests_total", _C, _OFFER, "Attempts that no price book entry covers."),
    Metric("ai_gateway_price_book_info", _G, ("version",), "1 for the price book in use."),
    Metric("ai_gateway_tenant_tokens_total", _C, ("tenant", "direction"), "Tokens per tenant."),
    Metric(
        "ai_gateway_alias_requests_total",
        _C,
        ("alias", "provider", "model", "region", "fallback_step"),
        "Calls by the candidate that answered; step 0 is the primary.",
    ),
    Metric(
        "ai_gateway_alias_request_duration_seconds",
        _H,
        ("alias",),
        "Duration of calls that were answered, all their attempts together, seconds.",
        DURATION_BUCKETS,
    ),
    Metric(
        "ai_gateway_fallbacks_total", _C, ("alias", "from", "to", "reason"), "Falls from one candidate to the next."
    ),
    Metric("ai_gateway_cache_lookups_total", _C, ("alias", "kind", "result"), "Cache lookups: exact or semantic."),
    Metric("ai_gateway_tenant_requests_total", _C, ("tenant", "region", "status"), "Client calls per tenant."),
    Metric("ai_gateway_quota_bucket_fill_ratio", _G, ("tenant", "provider"), "Used over limit; 1 is exhausted."),
    Metric("ai_gateway_quota_headroom_ratio", _G, _OFFER, "What is left of the provider's quota, 0 to 1."),
    Metric("ai_gateway_credentials_issued_total", _C, ("provider",), "Credentials handed out."),
    Metric("ai_gateway_scope_denials_total", _C, ("tenant",), "Calls denied for lack of scope."),
    Metric("ai_gateway_zone_violations_total", _C, ("tenant", "region"), "Calls served outside the tenant's zone."),
    Metric("ai_gateway_refusals_total", _C, ("alias", "kind"), "Refusals by the model or by routing."),
    Metric("ai_gateway_eval_score", _G, ("alias",), "Rolling one-hour score of production evals, 0 to 1."),
    Metric("ai_gateway_response_tokens", _H, ("alias", "feature"), "Output tokens per call.", TOKEN_BUCKETS),
    Metric(
        "ai_gateway_postcondition_violations_total", _C, ("provider", "model", "alias"), "Answers of the wrong shape."
    ),
    Metric("ai_gateway_audit_records_total", _C, (), "Audit records durably written."),
    Metric("ai_gateway_audit_bytes_total", _C, (), "Size of the audit records durably written, bytes."),
    Metric("ai_gateway_up", _G, (), "1 while the gateway's own health check passes."),
    Metric("ai_gateway_local_queue_depth", _G, ("model", "server"), "Requests waiting at a local inference server."),
)

METRICS_BY_NAME = {metric.name: metric for metric in CONTRACT}
METRICS_BY_SERIES = {series: metric for metric in CONTRACT for series in metric.exposed_names}
