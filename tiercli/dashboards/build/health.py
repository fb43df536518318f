"""Observability health: whether what the other boards say can be believed."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.dashboards.build.finish import finish
from tiercli.dashboards.build.panels import GREEN, ORANGE, RED, Query, limit_of, stat, state_timeline, text, timeseries
from tiercli.signals.contract import METRICS_BY_NAME

NAME = "health"
TITLE = "LLM traffic: observability health"
DESCRIPTION = (
    "Is everything scraped, are the rules evaluated in time, do the series stay within budget, is every call recorded?"
)
_JOBS = '{job=~"tiercli-.*"}'
_LAST_DRILL = """A drill marks its start, its fault and its end on every board (purple, annotation **Drills**).

- `tiercli drill run provider-outage` proves an alarm now
- `tiercli alarms list CATALOG` says which drill proves which alarm
- `tiercli rules test CATALOG` proves the rules at their thresholds
"""


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON; None when no source has any of it."""
    budgets = catalog.cardinality.metrics
    panels = [
        state_timeline(
            NAME,
            "Scrape health",
            "A lane for each target: up or down. What a target says is missing while it is down.",
            [Query(f"up{_JOBS}", "{{job}} {{instance}}")],
            (16, 8),
            {0: ("down", RED), 1: ("up", GREEN)},
        ),
        stat(
            NAME,
            "Targets down",
            "Targets that were not scraped the last time. Any: its alarms are blind.",
            "short",
            Query(f"count(up{_JOBS} == 0) or vector(0)", "down"),
            (4, 8),
            [(None, GREEN), (1, RED)],
        ),
        stat(
            NAME,
            "Watchdog",
            "1 while the alarm that always fires does: rules are evaluated. Whether it arrives, the heartbeat receiver says.",
            "short",
            Query('count(ALERTS{alertname="Watchdog", alertstate="firing"}) > bool 0 or vector(0)', "firing"),
            (4, 8),
            [(None, RED), (1, GREEN)],
        ),
        timeseries(
            NAME,
            "Audit completeness",
            "Audit records over client calls; red: where AuditEmissionLow begins.",
            "percentunit",
            [
                Query("tier:gateway:audit_completeness:ratio5m", "complete"),
                limit_of("tier:gateway:audit_completeness:threshold", "alarm"),
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Samples by target",
            "Samples that each target exposes. A jump is a new label value, or many of them: see tiercli budget.",
            "short",
            [Query(f"scrape_samples_post_metric_relabeling{_JOBS}", "{{job}} {{instance}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Scrape duration",
            "How long each scrape takes. Near the interval, samples go missing.",
            "s",
            [Query(f"scrape_duration_seconds{_JOBS}", "{{job}} {{instance}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Series against budget",
            f"Series that Prometheus holds, all of its own included; red: the budget of this estate, {catalog.cardinality.total.series}.",
            "short",
            [
                Query("sum(prometheus_tsdb_head_series)", "series"),
                limit_of(f"vector({catalog.cardinality.total.series})", "budget"),
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Budget used by metric",
            "Series of each metric that has a budget, over that budget. Above 100 %: tiercli budget says what to drop.",
            "percentunit",
            [Query(f"({_count_of(metric)}) / {budget.series}", metric) for metric, budget in budgets.items()]
            or [Query(f"sum(prometheus_tsdb_head_series) / {catalog.cardinality.total.series}", "all")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Rule evaluation",
            "Time that each rule group takes, over its interval. Above 100 % evaluations are skipped, and alarms come late.",
            "percentunit",
            [
                Query(
                    "prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds",
                    "{{rule_group}}",
                )
            ],
            (8, 8),
        ),
        stat(
            NAME,
            "Rule failures",
            "Rules that failed to evaluate in the last hour. Any: an alarm is blind; Prometheus' rule page says why.",
            "short",
            Query("sum(increase(prometheus_rule_evaluation_failures_total[1h])) or vector(0)", "failures"),
            (6, 6),
            [(None, GREEN), (1, RED)],
        ),
        stat(
            NAME,
            "Notifications dropped",
            "Alerts in the last hour that Prometheus could not hand to any Alertmanager. Any: somebody was not told.",
            "short",
            Query("sum(increase(prometheus_notifications_dropped_total[1h])) or vector(0)", "dropped"),
            (6, 6),
            [(None, GREEN), (1, RED)],
        ),
        stat(
            NAME,
            "Gateway instances",
            "Healthy gateway instances; fewer than the catalog names is GatewayReplicaMissing.",
            "short",
            Query("tier:gateway:healthy_instances:count", "healthy"),
            (6, 6),
            [(None, RED), (1, ORANGE), (len(catalog.gateway.targets), GREEN)]
            if len(catalog.gateway.targets) > 1
            else [(None, RED), (1, GREEN)],
        ),
        text(NAME, "Drills", "When the alarms were last proven, and how to prove them again.", _LAST_DRILL, (6, 6)),
    ]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, [], unbound)


def _count_of(metric: str) -> str:
    """How many series a metric has, all parts of a histogram together."""
    known = METRICS_BY_NAME.get(metric)
    names = known.exposed_names if known is not None else (metric,)
    return " + ".join(f"count({name})" for name in names)
