"""The canonical layer: every series that tiercli records. Dashboards, alerts and drills read these and nothing else.

Named tier:level:metric:operation, and declared here by level. Windows in names are simulated time: a compressed sandbox keeps
the names. A `primitive` series comes from a source binding (catalogs/sources/); a derived one from those, in
templates/recording/, the same for every source; a constant from the catalog (rules/constants.py). What only one alarm needs is
recorded by the alarm's own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

# What has to be bound for a primitive series to be there: the gateway (or a cloud console in its place), the local
# inference servers, GPUs.
SourceKind = Literal["gateway", "servers", "gpus"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded series; all are gauges. `unit` is a Grafana unit id, so that panels agree. `bound_to`: the kind of
    source whose binding yields it; None for what is derived or constant, the same for every source. `rare`: it counts
    something that may never happen, so its absence says nothing."""

    name: str
    labels: tuple[str, ...]
    help: str
    unit: str = "short"
    bound_to: SourceKind | None = None
    rare: bool = False

    @property
    def primitive(self) -> bool:
        """Whether it comes from a source binding."""
        return self.bound_to is not None


_GW: Final = "gateway"
_SRV: Final = "servers"
_GPUS: Final = "gpus"
_RATIO = "percentunit"
_USD = "currencyUSD"

_OFFER = ("provider", "model", "region")
_TIER = ("tier",)
_ALIAS = ("alias",)
_TENANT = ("tenant",)
_DRIFT = ("signal", "subject")
_SERVED = ("model", "server")
_GPU = ("instance", "gpu")
_TARGET = ("job", "target")

RECORDED: tuple[Recorded, ...] = (
    # tier:provider:… Provider, region and model: attempts, so that a fallback cannot hide a dead provider.
    # What the catalog knows and the gateway does not: constants to join.
    Recorded("tier:provider:info", ("provider", "region", "tier"), "1 for each provider and region of the catalog."),
    Recorded(
        "tier:provider:typical_p95:seconds",
        ("provider", "region"),
        "The p95 that the catalog calls typical of a provider and region.",
        "s",
    ),
    Recorded(
        "tier:provider:typical_errors:ratio",
        ("provider", "region"),
        "The error rate that the catalog calls typical of a provider and region.",
        _RATIO,
    ),
    Recorded(
        "tier:provider:price_usd_per_token",
        ("provider", "model", "direction"),
        "US dollars per token by the price book.",
        _USD,
    ),
    Recorded(
        "tier:provider:gpu_cost_usd:rate",
        ("provider", "region"),
        "US dollars per second that the GPUs of a local provider and region cost, used or not.",
        _USD,
    ),
    # Primitive.
    Recorded("tier:provider:requests:rate5m", (*_OFFER, "status"), "Attempts per second over 5 minutes.", "reqps", _GW),
    Recorded("tier:provider:requests:increase1m", (*_OFFER, "status"), "Attempts in 1 minute.", "short", _GW),
    Recorded("tier:provider:requests:increase5m", _OFFER, "Attempts in 5 minutes: the traffic guard.", "short", _GW),
    Recorded(
        "tier:provider:errors:rate5m", (*_OFFER, "code"), "Failed attempts per second by code.", "reqps", _GW, rare=True
    ),
    Recorded("tier:provider:latency_seconds:p50_5m", _OFFER, "Median attempt duration.", "s", _GW),
    Recorded("tier:provider:latency_seconds:p95_5m", _OFFER, "95th percentile of attempt duration.", "s", _GW),
    Recorded("tier:provider:latency_seconds:p99_5m", _OFFER, "99th percentile of attempt duration.", "s", _GW),
    Recorded("tier:provider:ttft_seconds:p95_5m", _OFFER, "95th percentile of time to first token.", "s", _GW),
    Recorded(
        "tier:provider:within_sla:rate5m",
        _OFFER,
        "Attempts per second that took no longer than the service level (to the histogram's next bucket).",
        "reqps",
        _GW,
    ),
    Recorded("tier:provider:timed:rate5m", _OFFER, "Attempts per second whose duration was measured.", "reqps", _GW),
    Recorded("tier:provider:tokens:rate5m", (*_OFFER, "direction"), "Tokens per second.", "short", _GW),
    Recorded("tier:provider:quota_headroom:ratio", _OFFER, "What is left of the quota.", _RATIO, _GW),
    Recorded(
        "tier:provider:unclassified_errors:increase5m",
        _OFFER,
        "Failures in 5 minutes that the translator does not know, the first of its kind included.",
        "short",
        _GW,
        rare=True,
    ),
    Recorded(
        "tier:provider:unpriced_requests:increase5m",
        _OFFER,
        "Attempts in 5 minutes that no price covers, the first included.",
        "short",
        _GW,
        rare=True,
    ),
    Recorded(
        "tier:provider:postcondition_violations:increase5m",
        ("provider", "model", "alias"),
        "Answers of the wrong shape in 5 minutes, the first of its kind included.",
        "short",
        _GW,
        rare=True,
    ),
    Recorded(
        "tier:provider:credentials_issued:rate5m", ("provider",), "Credentials handed out per second.", "short", _GW
    ),
    # Derived: the same for every source.
    Recorded(
        "tier:provider:error_ratio:rate5m", _OFFER, "Share of attempts that failed, own-alarm codes left out.", _RATIO
    ),
    Recorded(
        "tier:provider:region_error_ratio:rate5m",
        ("provider", "region"),
        "The same for a provider and region over all its models.",
        _RATIO,
    ),
    Recorded("tier:provider:throttle_ratio:rate5m", _OFFER, "Share of attempts answered 429.", _RATIO),
    Recorded(
        "tier:provider:input_tokens_per_request:ratio5m",
        _OFFER,
        "Input tokens, cached ones too, per attempt that succeeded.",
    ),
    Recorded(
        "tier:provider:cost_usd:rate5m",
        _OFFER,
        "US dollars per second: tokens × price; for the local tier its GPU hours, spread over the tokens it serves.",
        _USD,
    ),
    Recorded("tier:provider:cost_usd_per_1k:ratio5m", _OFFER, "US dollars per 1,000 attempts that succeeded.", _USD),
    Recorded("tier:provider:throttle_ratio:threshold", _OFFER, "Above this ProviderThrottled is pending.", _RATIO),
    # What enters a baseline: the signal while its alarm is neither pending nor firing, so that an incident never
    # becomes its own baseline.
    Recorded("tier:provider:latency_seconds:p95_5m:normal", _OFFER, "p95 while ProviderLatencyHigh is quiet.", "s"),
    Recorded("tier:provider:latency_seconds:p95_5m:baseline", _OFFER, "p95, moving average of what was normal.", "s"),
    Recorded(
        "tier:provider:latency_seconds:p95_5m:usual", _OFFER, "p95's baseline, or what is typical before it.", "s"
    ),
    Recorded(
        "tier:provider:latency_seconds:p95_5m:threshold",
        _OFFER,
        "Above this p95 ProviderLatencyHigh is pending: the larger of its floor and its ratio times the baseline.",
        "s",
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:threshold",
        _OFFER,
        "Above this ratio ProviderErrorRateHigh is pending: the larger of its floor and its ratio times the baseline.",
        _RATIO,
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:normal", _OFFER, "Error ratio while ProviderErrorRateHigh is quiet.", _RATIO
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:usual",
        _OFFER,
        "The error rate's baseline, or what is typical before it.",
        _RATIO,
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:baseline", _OFFER, "Error ratio, moving average of what was normal.", _RATIO
    ),
    # tier:tier:… Local against cloud, on the same axes. Quantiles of different sources cannot be merged: a tier's is the mean of its
    # providers', weighted by their traffic.
    Recorded("tier:tier:requests:rate5m", _TIER, "Attempts per second of a tier.", "reqps"),
    Recorded("tier:tier:error_ratio:rate5m", _TIER, "Share of a tier's attempts that failed.", _RATIO),
    Recorded("tier:tier:latency_seconds:p50_5m", _TIER, "Median attempt duration, traffic-weighted.", "s"),
    Recorded("tier:tier:latency_seconds:p95_5m", _TIER, "p95 of attempt duration, traffic-weighted.", "s"),
    Recorded("tier:tier:latency_seconds:p99_5m", _TIER, "p99 of attempt duration, traffic-weighted.", "s"),
    Recorded("tier:tier:ttft_seconds:p95_5m", _TIER, "p95 of time to first token, traffic-weighted.", "s"),
    Recorded("tier:tier:within_sla:ratio5m", _TIER, "Share of attempts within the service level.", _RATIO),
    Recorded("tier:tier:tokens:rate5m", ("tier", "direction"), "Tokens per second of a tier."),
    Recorded("tier:tier:cost_usd:rate5m", _TIER, "US dollars per second of a tier.", _USD),
    Recorded("tier:tier:cost_usd_per_1k:ratio5m", _TIER, "US dollars per 1,000 successful attempts of a tier.", _USD),
    Recorded(
        "tier:tier:fallbacks:rate5m",
        ("from_tier", "to_tier"),
        "Calls per second that a fallback candidate answered, by the primary's tier and the tier that answered.",
        "reqps",
    ),
    # tier:gateway:… The gateway itself: whether it is there, and whether it records what it does.
    Recorded("tier:gateway:expected_instances:count", (), "Gateway instances that the catalog names."),
    Recorded(
        "tier:gateway:deployment_info",
        ("deployment", "provider", "model", "region"),
        "1 for each stable id of the gateway's: what it stands for.",
    ),
    Recorded(
        "tier:gateway:healthy_instances:count",
        (),
        "Gateway instances up and healthy; 0 when none is there.",
        "short",
        _GW,
    ),
    Recorded("tier:gateway:calls:increase5m", (), "Client calls in 5 minutes.", "short", _GW),
    Recorded(
        "tier:gateway:unnamed_attempts:increase5m",
        (),
        "Attempts in 5 minutes at deployments that the catalog does not name: no other series has them.",
        "short",
        _GW,
    ),
    Recorded("tier:gateway:audit_records:increase5m", (), "Audit records written in 5 minutes.", "short", _GW),
    Recorded("tier:gateway:audit_bytes:increase5m", (), "Size of the audit records of 5 minutes.", "bytes", _GW),
    Recorded("tier:gateway:price_book:info", ("version",), "1 for each price book in use.", "short", _GW),
    Recorded("tier:gateway:audit_completeness:ratio5m", (), "Audit records over client calls.", _RATIO),
    Recorded("tier:gateway:audit_completeness:threshold", (), "Below this AuditEmissionLow is pending.", _RATIO),
    Recorded("tier:gateway:available:bool", (), "1 while an instance is healthy, else 0.", "bool"),
    Recorded("tier:gateway:available:ratio1h", (), "Share of the last hour in which an instance was healthy.", _RATIO),
    # tier:alias:… Aliases: what clients call, across all candidates.
    Recorded(
        "tier:alias:primary_info", ("alias", "provider", "region", "tier"), "1 for the primary candidate of each alias."
    ),
    Recorded(
        "tier:alias:requests:rate5m",
        ("alias", "provider", "model", "region", "fallback_step"),
        "Calls per second by the candidate that answered.",
        "reqps",
        _GW,
    ),
    Recorded(
        "tier:alias:fallbacks:rate5m",
        ("alias", "from", "to", "reason"),
        "Falls per second from one candidate to the next.",
        "reqps",
        _GW,
        rare=True,
    ),
    Recorded("tier:alias:cache_lookups:rate5m", ("alias", "kind", "result"), "Cache lookups per second.", "reqps", _GW),
    Recorded("tier:alias:refusals:rate5m", ("alias", "kind"), "Refusals per second.", "reqps", _GW, rare=True),
    Recorded(
        "tier:alias:latency_seconds:p95_5m",
        _ALIAS,
        "95th percentile of the duration of answered calls, all their attempts together.",
        "s",
        _GW,
    ),
    Recorded("tier:alias:latency_seconds:hourly", _ALIAS, "That p95, mean of an hour, once an hour.", "s"),
    Recorded("tier:alias:latency_seconds:p95_5m:baseline", _ALIAS, "That p95, mean of the prior 7 days.", "s"),
    Recorded("tier:alias:eval_score:mean", _ALIAS, "Rolling score of production evals, 0 to 1.", _RATIO, _GW),
    Recorded("tier:alias:eval_score:target", _ALIAS, "The score that the catalog holds its evals to.", _RATIO),
    Recorded("tier:alias:response_tokens:mean5m", _ALIAS, "Output tokens per call, mean.", "short", _GW),
    Recorded("tier:alias:response_tokens:p95_5m", _ALIAS, "Output tokens per call, 95th percentile.", "short", _GW),
    Recorded("tier:alias:cost_usd:rate5m", _ALIAS, "US dollars per second.", _USD, _GW),
    Recorded("tier:alias:cache_hit:ratio5m", ("alias", "kind"), "Share of cache lookups that hit.", _RATIO),
    Recorded("tier:alias:refusal:ratio5m", _ALIAS, "Share of calls that were refused.", _RATIO),
    Recorded("tier:alias:fallback:ratio5m", ("alias", "fallback_step"), "Share of calls by step.", _RATIO),
    Recorded("tier:alias:cost_usd_per_1k:ratio5m", _ALIAS, "US dollars per 1,000 calls.", _USD),
    # tier:tenant:… Tenants and their features: calls, tokens, spend, budgets, quotas, zones.
    Recorded("tier:tenant:budget_usd", ("tenant", "zone"), "Monthly budget; the label zone is its privacy zone.", _USD),
    Recorded("tier:tenant:calls:rate5m", ("tenant", "region", "status"), "Client calls per second.", "reqps", _GW),
    Recorded("tier:tenant:tokens:rate5m", ("tenant", "direction"), "Tokens per second.", "short", _GW),
    Recorded("tier:tenant:cost_usd:rate5m", _TENANT, "US dollars per second.", _USD, _GW),
    Recorded("tier:tenant:calls:grown", _TENANT, "Client calls since the last evaluation.", "short", _GW),
    Recorded("tier:tenant:calls:lead", _TENANT, "Client calls that the sum of `grown` has yet to count.", "short", _GW),
    Recorded("tier:tenant:cost_usd:grown", ("tenant", "month"), "US dollars since the last evaluation.", _USD, _GW),
    Recorded("tier:tenant:cost_usd:lead", _TENANT, "US dollars that the sum of `grown` has yet to count.", _USD, _GW),
    Recorded("tier:feature:cost_usd:rate5m", ("tenant", "feature"), "US dollars per second.", _USD, _GW),
    Recorded("tier:tenant:quota_fill:ratio", ("tenant", "provider"), "Used over limit of a quota bucket.", _RATIO, _GW),
    Recorded(
        "tier:tenant:zone_violations:increase5m",
        ("tenant", "region"),
        "Calls in 5 minutes outside the tenant's zone, the first of its kind included.",
        "short",
        _GW,
        rare=True,
    ),
    Recorded(
        "tier:tenant:zone_violations:increase1d", ("tenant", "region"), "The same in a day.", "short", _GW, rare=True
    ),
    Recorded(
        "tier:tenant:scope_denials:increase5m",
        _TENANT,
        "Calls denied for lack of scope in 5 minutes.",
        "short",
        _GW,
        rare=True,
    ),
    # Derived.
    Recorded(
        "tier:tenant:quota_fill:threshold",
        ("tenant", "provider"),
        "Above this QuotaBucketSaturated is pending.",
        _RATIO,
    ),
    Recorded(
        "tier:tenant:quota_saturated:bool",
        ("tenant", "provider"),
        "1 while a bucket is above the alarm's limit.",
        "bool",
    ),
    Recorded("tier:tenant:cost_usd:rate1h", _TENANT, "US dollars per second, mean of an hour.", _USD),
    Recorded("tier:tenant:cost_usd:rate1h:normal", _TENANT, "The same while TenantSpendHigh is quiet.", _USD),
    Recorded(
        "tier:tenant:cost_usd:rate1h:baseline",
        _TENANT,
        "The larger of the same hour yesterday and 7 days ago; without the latter, what the budget allows.",
        _USD,
    ),
    Recorded("tier:tenant:cost_usd:rate1h:threshold", _TENANT, "Above this TenantSpendHigh is pending.", _USD),
    Recorded("tier:tenant:month_spend:usd", _TENANT, "US dollars since the first of the month.", _USD),
    Recorded("tier:tenant:month_seen:seconds", _TENANT, "For how long of this month there are samples.", "s"),
    Recorded("tier:tenant:month_forecast:usd", _TENANT, "The month's spend, extrapolated to its end.", _USD),
    Recorded("tier:tenant:budget_consumed:ratio", _TENANT, "Month's spend over the monthly budget.", _RATIO),
    # tier:estate:… The estate as a whole: what it spends.
    Recorded("tier:estate:cost_usd:rate5m", (), "US dollars per second of all tenants.", _USD),
    Recorded("tier:estate:cost_usd:rate1h", (), "The same, mean of an hour.", _USD),
    Recorded("tier:estate:cost_usd:rate1h:normal", (), "The same while TotalSpendAnomaly is quiet.", _USD),
    Recorded(
        "tier:estate:cost_usd:rate1h:baseline",
        (),
        "The larger of the same hour yesterday and 7 days ago; without the latter, what the budgets allow.",
        _USD,
    ),
    Recorded("tier:estate:cost_usd:rate5m:threshold", (), "Above this TotalSpendAnomaly is pending.", _USD),
    # tier:calendar:… The calendar in the catalog's time zone: a month is no window. Recorded, so that a drill can replace it.
    Recorded("tier:calendar:month", ("month",), "1 for the number of the current month."),
    Recorded(
        "tier:calendar:tick:seconds", ("month",), "When the sums of the month were evaluated last, Unix seconds.", "s"
    ),
    Recorded("tier:calendar:month_elapsed:seconds", (), "Since the first of the month.", "s"),
    Recorded("tier:calendar:month_length:seconds", (), "From the first of the month to the next.", "s"),
    # tier:drift:… Drift: slow signals, now against the prior 7 days. `subject` is an alias, or provider / model / region.
    Recorded("tier:drift:value:mean1h", _DRIFT, "The signal, mean of an hour."),
    Recorded("tier:drift:calls:increase1h", _DRIFT, "The calls, or attempts, of that hour."),
    Recorded("tier:drift:value:hourly", _DRIFT, "The same once an hour, while Drift is quiet for it."),
    Recorded("tier:drift:value:baseline", _DRIFT, "The signal's mean over the prior 7 days."),
    Recorded(
        "tier:drift:change", _DRIFT, "Now less the baseline; for signals with a relative tolerance, over the baseline."
    ),
    Recorded(
        "tier:drift:departure:ratio",
        _DRIFT,
        "The change over its tolerance, or over what chance moves: above 1 it is flagged.",
    ),
    # tier:server:… The local inference servers.
    Recorded("tier:server:info", ("server", "provider", "region"), "GPUs of each server of the catalog."),
    Recorded(
        "tier:server:expected_targets:count",
        _TARGET,
        "Scrape targets of the local tier that the catalog names: each server; all exporters of a source of GPUs.",
    ),
    Recorded(
        "tier:server:silent_targets:count",
        _TARGET,
        "0 for a server or GPU exporter that answers scrapes, 1 where it does not; how many are gone that nothing names.",
    ),
    Recorded("tier:server:queue_depth:sum", _SERVED, "Requests waiting at a local server.", "short", _SRV),
    Recorded("tier:server:running:sum", _SERVED, "Requests being served.", "short", _SRV),
    Recorded("tier:server:cache_usage:ratio", _SERVED, "Share of the KV cache in use.", _RATIO, _SRV),
    Recorded("tier:server:tokens:rate5m", (*_SERVED, "direction"), "Tokens per second.", "short", _SRV),
    Recorded("tier:server:requests:rate5m", _SERVED, "Requests finished per second.", "reqps", _SRV),
    Recorded("tier:server:latency_seconds:p95_5m", _SERVED, "95th percentile of a request's duration.", "s", _SRV),
    Recorded("tier:server:ttft_seconds:p95_5m", _SERVED, "95th percentile of time to first token.", "s", _SRV),
    Recorded("tier:server:queue_seconds:p95_5m", _SERVED, "95th percentile of the time in the queue.", "s", _SRV),
    Recorded("tier:server:queue_depth:threshold", _SERVED, "Above this a growing queue is an alarm.", "short"),
    Recorded("tier:server:queue_depth:deriv10m", _SERVED, "How fast the queue grows, requests per second.", "short"),
    # tier:gpu:… GPUs. `instance` is the exporter's scrape target, `gpu` the card's number or id there.
    Recorded("tier:gpu:utilization:ratio", _GPU, "Share of time in which the GPU was busy.", _RATIO, _GPUS),
    Recorded("tier:gpu:memory_used:bytes", _GPU, "Memory in use.", "bytes", _GPUS),
    Recorded("tier:gpu:memory_total:bytes", _GPU, "Memory there is.", "bytes", _GPUS),
    Recorded("tier:gpu:power:watts", _GPU, "Power drawn.", "watt", _GPUS),
    Recorded("tier:gpu:temperature:celsius", _GPU, "Temperature of the GPU.", "celsius", _GPUS),
    Recorded("tier:gpu:utilization:mean10m", _GPU, "The same, mean of 10 minutes.", _RATIO),
    Recorded("tier:gpu:utilization:threshold", _GPU, "Above this GpuUtilizationHigh is pending.", _RATIO),
    Recorded("tier:gpu:memory:ratio", _GPU, "Share of memory in use.", _RATIO),
)
RECORDED_BY_NAME = {series.name: series for series in RECORDED}
