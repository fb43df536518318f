"""Tenant: calls, spend, budget, quota and privacy zone. One board for all: rare tenants are reached by its variable."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.dashboards.build.finish import finish, tenant_variable
from tiercli.dashboards.build.panels import (
    GREEN,
    ORANGE,
    RED,
    TENANT,
    Query,
    bar_gauge,
    firing,
    limit_of,
    normal_of,
    stat,
    table,
    timeseries,
)

NAME = "tenant"
TITLE = "LLM traffic: tenant"
DESCRIPTION = (
    "One tenant: what it calls, what it spends against its budget, where its data goes. Type to find any of them."
)
_DAY_S = 86_400


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON; None when no source has any of it."""
    panels = [
        stat(
            NAME,
            "Calls, 24 hours",
            "Client calls of the chosen tenants in the last 24 hours.",
            "short",
            Query(f"sum(avg_over_time(tier:tenant:calls:rate5m{TENANT}[24h])) * {_DAY_S}", "calls"),
            (4, 5),
            [(None, "blue")],
        ),
        stat(
            NAME,
            "Spend, 24 hours",
            "US dollars that the chosen tenants spent in the last 24 hours.",
            "currencyUSD",
            Query(f"sum(avg_over_time(tier:tenant:cost_usd:rate5m{TENANT}[24h])) * {_DAY_S}", "spent"),
            (4, 5),
            [(None, "blue")],
        ),
        stat(
            NAME,
            "Budget consumed",
            "Spend since the first of the month, over the monthly budget; of several tenants the largest share.",
            "percentunit",
            Query(f"max(tier:tenant:budget_consumed:ratio{TENANT})", "consumed"),
            (4, 5),
            [(None, GREEN), (0.8, ORANGE), (1, RED)],
        ),
        stat(
            NAME,
            "Zone violations",
            "Calls outside the tenant's privacy zone in the last day. Anything but 0 is a security incident.",
            "short",
            Query(f"sum(tier:tenant:zone_violations:increase1d{TENANT}) or vector(0)", "violations"),
            (4, 5),
            [(None, GREEN), (0.5, RED)],
        ),
        stat(
            NAME,
            "Quota saturation events",
            "How often a quota bucket went above its alarm's limit in the last 24 hours.",
            "short",
            Query(f"sum(ceil(changes(tier:tenant:quota_saturated:bool{TENANT}[24h]) / 2))", "events"),
            (4, 5),
            [(None, GREEN), (1, ORANGE), (10, RED)],
        ),
        stat(
            NAME,
            "Scope denials",
            "Calls in 5 minutes that were denied for lack of scope: a wrong key, or somebody who tries.",
            "short",
            Query(f"sum(tier:tenant:scope_denials:increase5m{TENANT}) or vector(0)", "denied"),
            (4, 5),
            [(None, GREEN), (1, ORANGE)],
        ),
        timeseries(
            NAME,
            "Spend rate",
            "US dollars per hour, mean of an hour. Grey: the same hour yesterday or a week ago, whichever is larger; red: where "
            "TenantSpendHigh begins.",
            "currencyUSD",
            [
                Query(f"3600 * tier:tenant:cost_usd:rate1h{TENANT}", "{{tenant}} per hour"),
                normal_of(f"3600 * tier:tenant:cost_usd:rate1h:baseline{TENANT}", "{{tenant}} baseline"),
                limit_of(f"3600 * tier:tenant:cost_usd:rate1h:threshold{TENANT}", "{{tenant}} alarm"),
            ],
            (12, 9),
        ),
        timeseries(
            NAME,
            "Budget this month",
            "Spent since the first of the month, and what it comes to at this rate by its end; red: the monthly budget.",
            "currencyUSD",
            [
                Query(f"tier:tenant:month_forecast:usd{TENANT}", "{{tenant}} forecast"),
                Query(f"tier:tenant:month_spend:usd{TENANT}", "{{tenant}} spent"),
                limit_of(f"sum by (tenant) (tier:tenant:budget_usd{TENANT})", "{{tenant}} budget"),
            ],
            (12, 9),
        ),
        timeseries(
            NAME,
            "Calls by region",
            "Calls per minute by the region that served them.",
            "short",
            [Query(f"sum by (tenant, region) (tier:tenant:calls:rate5m{TENANT}) * 60", "{{tenant}} in {{region}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Failed calls",
            "Share of the tenant's calls that failed, all fallbacks included: what the tenant feels.",
            "percentunit",
            [
                Query(
                    '(sum by (tenant) (tier:tenant:calls:rate5m{tenant=~"${tenant}", status="failure"})'
                    f" or 0 * sum by (tenant) (tier:tenant:calls:rate5m{TENANT}))"
                    f" / (sum by (tenant) (tier:tenant:calls:rate5m{TENANT}) > 0)",
                    "{{tenant}}",
                )
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Quota buckets",
            "How full the tenant's bucket at each provider is; red: where QuotaBucketSaturated begins. At 100 % calls are "
            "refused or fall back.",
            "percentunit",
            [
                Query(f"tier:tenant:quota_fill:ratio{TENANT}", "{{tenant}} at {{provider}} used"),
                limit_of(f"max(tier:tenant:quota_fill:threshold{TENANT})", "alarm"),
            ],
            (8, 8),
        ),
        bar_gauge(
            NAME,
            "Top features",
            "US dollars per hour by feature, largest first: where the money goes.",
            "currencyUSD",
            Query(
                f"sort_desc(topk(10, sum by (tenant, feature) (3600 * tier:feature:cost_usd:rate5m{TENANT})))",
                "{{tenant}} {{feature}}",
                instant=True,
            ),
            (8, 8),
        ),
        timeseries(
            NAME,
            "Tokens per second",
            "Tokens by direction. Input growing alone: longer prompts, which cost.",
            "short",
            [Query(f"tier:tenant:tokens:rate5m{TENANT}", "{{tenant}} {{direction}}")],
            (8, 8),
        ),
        table(
            NAME,
            "Budget and zone",
            "What the catalog says of the tenant: its monthly budget in US dollars, and its privacy zone.",
            "currencyUSD",
            Query(f"tier:tenant:budget_usd{TENANT}", "{{tenant}}", instant=True),
            (8, 8),
            renamed={"Value": "budget"},
        ),
        firing(NAME, catalog, 'tenant=~"${tenant}"', (24, 6)),
    ]
    variables = [tenant_variable(catalog)]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, variables, unbound)
