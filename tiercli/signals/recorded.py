"""The canonical layer: every series that tiercli records. Dashboards, alerts and drills read these and nothing else.

Named level:metric:operation. Windows in names are estate time: a compressed sandbox keeps the names. `primitive` series
come from a source binding (catalogs/sources/); the others are derived from those and do not know the source.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded series; all are gauges. `unit` is a Grafana unit id, so that panels agree."""

    name: str
    labels: tuple[str, ...]
    help: str
    unit: str = "short"
    primitive: bool = False


_OFFER = ("provider", "model", "region")

RECORDED: tuple[Recorded, ...] = (
    # What the catalog knows and the gateway does not: constants to join.
    Recorded("tier:provider:info", ("provider", "region", "tier"), "1 for each provider and region of the catalog."),
    Recorded("tier:gateway:expected_instances:count", (), "Gateway instances that the catalog names."),
    # Primitive: from the gateway's binding.
    Recorded(
        "tier:provider:requests:rate5m", (*_OFFER, "status"), "Attempts per second over 5 minutes.", "reqps", True
    ),
    Recorded(
        "tier:provider:requests:increase1m", ("provider", "region", "status"), "Attempts in 1 minute.", primitive=True
    ),
    Recorded("tier:provider:requests:increase5m", _OFFER, "Attempts in 5 minutes: the traffic guard.", primitive=True),
    Recorded("tier:provider:errors:rate5m", (*_OFFER, "code"), "Failed attempts per second by code.", "reqps", True),
    Recorded("tier:provider:latency_seconds:p50_5m", _OFFER, "Median attempt duration.", "s", True),
    Recorded("tier:provider:latency_seconds:p95_5m", _OFFER, "95th percentile of attempt duration.", "s", True),
    Recorded("tier:provider:latency_seconds:p99_5m", _OFFER, "99th percentile of attempt duration.", "s", True),
    Recorded("tier:provider:ttft_seconds:p95_5m", _OFFER, "95th percentile of time to first token.", "s", True),
    Recorded("tier:provider:tokens:rate5m", (*_OFFER, "direction"), "Tokens per second.", "short", True),
    Recorded("tier:provider:quota_headroom:ratio", _OFFER, "What is left of the quota.", "percentunit", True),
    Recorded(
        "tier:gateway:healthy_instances:count",
        (),
        "Gateway instances up and healthy; 0 when none is there.",
        primitive=True,
    ),
    Recorded("tier:gateway:audit_completeness:ratio5m", (), "Audit records over client calls.", "percentunit", True),
    Recorded(
        "tier:tenant:zone_violations:increase1d", ("tenant", "region"), "Zone violations in a day.", primitive=True
    ),
    Recorded(
        "tier:alias:requests:rate5m",
        ("alias", "provider", "model", "region", "fallback_step"),
        "Calls per second by the candidate that answered.",
        "reqps",
        True,
    ),
    # Derived: the same for every source.
    Recorded(
        "tier:provider:error_ratio:rate5m",
        _OFFER,
        "Share of attempts that failed, own-alarm codes left out.",
        "percentunit",
    ),
    Recorded(
        "tier:provider:region_error_ratio:rate5m",
        ("provider", "region"),
        "The same for a provider and region over all its models.",
        "percentunit",
    ),
    Recorded("tier:provider:throttle_ratio:rate5m", _OFFER, "Share of attempts answered 429.", "percentunit"),
    # What enters a baseline: the signal while its alarm is neither pending nor firing, so that an incident never
    # becomes its own baseline.
    Recorded("tier:provider:latency_seconds:p95_5m:normal", _OFFER, "p95 while ProviderLatencyHigh is quiet.", "s"),
    Recorded("tier:provider:latency_seconds:p95_5m:baseline", _OFFER, "p95, moving average of what was normal.", "s"),
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
        "percentunit",
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:normal",
        _OFFER,
        "Error ratio while ProviderErrorRateHigh is quiet.",
        "percentunit",
    ),
    Recorded(
        "tier:provider:error_ratio:rate5m:baseline",
        _OFFER,
        "Error ratio, moving average of what was normal.",
        "percentunit",
    ),
)

RECORDED_BY_NAME = {series.name: series for series in RECORDED}
