"""Cost: spend by tenant, feature, alias, provider and tier, against what is usual and against the budgets."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.conventions import dashboard_uid
from tiercli.dashboards.build.finish import finish
from tiercli.dashboards.build.panels import (
    GREEN,
    ORANGE,
    RED,
    Query,
    bar_gauge,
    comparison,
    drill_down,
    limit_of,
    normal_of,
    stat,
    table,
    timeseries,
)

NAME = "cost"
TITLE = "LLM traffic: cost"
DESCRIPTION = "What the estate spends, on whom and what, against what is usual at this hour and against the budgets."
_DAY_S = 86_400
_USD = "currencyUSD"


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON; None when no source has any of it."""
    to_tenant = drill_down(
        "Open the tenant",
        f"/d/{dashboard_uid('tenant', catalog.estate, catalog.env)}?var-datasource=${{datasource}}"
        "&var-tenant=${__data.fields.tenant:percentencode}",
    )
    panels = [
        timeseries(
            NAME,
            "Spend rate",
            "US dollars per hour of all tenants. Grey: the same hour yesterday or a week ago, whichever is larger; red: where "
            "TotalSpendAnomaly pages.",
            _USD,
            [
                Query("3600 * tier:estate:cost_usd:rate5m", "spend per hour"),
                normal_of("3600 * tier:estate:cost_usd:rate1h:baseline", "baseline"),
                limit_of("3600 * tier:estate:cost_usd:rate5m:threshold", "alarm"),
            ],
            (12, 9),
        ),
        stat(
            NAME,
            "Spend",
            "US dollars of all tenants: in the last 24 hours, since the first of the month, and at this rate by its end.",
            _USD,
            [
                Query(f"avg_over_time(tier:estate:cost_usd:rate5m[24h]) * {_DAY_S}", "24 hours"),
                Query("sum(tier:tenant:month_spend:usd)", "this month"),
                Query("sum(tier:tenant:month_forecast:usd)", "forecast"),
            ],
            (12, 9),
            [(None, "blue")],
        ),
        bar_gauge(
            NAME,
            "By tenant",
            "US dollars per hour by tenant, largest first.",
            _USD,
            Query(
                "sort_desc(topk(15, sum by (tenant) (3600 * tier:tenant:cost_usd:rate5m)))", "{{tenant}}", instant=True
            ),
            (8, 9),
        ),
        bar_gauge(
            NAME,
            "By feature",
            "US dollars per hour by tenant and feature, largest first. A runaway loop is one bar.",
            _USD,
            Query(
                "sort_desc(topk(15, sum by (tenant, feature) (3600 * tier:feature:cost_usd:rate5m)))",
                "{{tenant}} {{feature}}",
                instant=True,
            ),
            (8, 9),
        ),
        bar_gauge(
            NAME,
            "By alias",
            "US dollars per hour by alias, largest first.",
            _USD,
            Query("sort_desc(topk(15, sum by (alias) (3600 * tier:alias:cost_usd:rate5m)))", "{{alias}}", instant=True),
            (8, 9),
        ),
        timeseries(
            NAME,
            "By provider",
            "US dollars per hour: tokens times the price book; for local servers their GPU hours, used or not.",
            _USD,
            [Query("sum by (provider, region) (3600 * tier:provider:cost_usd:rate5m)", "{{provider}} / {{region}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "By tier",
            "US dollars per hour by tier.",
            _USD,
            [Query("3600 * tier:tier:cost_usd:rate5m", "{{tier}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Cost per 1,000 calls by tier",
            "US dollars per 1,000 successful attempts. Local is cheaper only while it is busy.",
            _USD,
            [Query("tier:tier:cost_usd_per_1k:ratio5m", "{{tier}}")],
            (8, 8),
        ),
        comparison(
            NAME,
            "Budgets",
            "Each tenant's month: spent, its share of the budget, and the forecast. Largest share first.",
            {
                "consumed": ("tier:tenant:budget_consumed:ratio", "percentunit"),
                "spent": ("tier:tenant:month_spend:usd", _USD),
                "forecast": ("tier:tenant:month_forecast:usd", _USD),
                "budget": ("sum by (tenant) (tier:tenant:budget_usd)", _USD),
            },
            (12, 9),
            first="consumed",
            overrides=[
                {
                    "matcher": {"id": "byName", "options": "tenant"},
                    "properties": [{"id": "links", "value": [to_tenant]}],
                }
            ],
        ),
        stat(
            NAME,
            "Unpriced calls",
            "Attempts in 5 minutes that no price covers: spend that nobody sees. Add the model to the price book.",
            "short",
            Query("sum(tier:provider:unpriced_requests:increase5m) or vector(0)", "unpriced"),
            (4, 9),
            [(None, GREEN), (1, RED)],
        ),
        table(
            NAME,
            "Price book",
            "The price book's version in use. Two at once: instances disagree; a change shows in cost per 1,000 calls.",
            "short",
            Query("tier:gateway:price_book:info", "{{version}}", instant=True),
            (4, 9),
            hidden=("Value",),
        ),
        stat(
            NAME,
            "Price book changes, 7 days",
            "How many price books were in use in the last 7 days, less one.",
            "short",
            Query("count(last_over_time(tier:gateway:price_book:info[7d])) - 1", "changes"),
            (4, 9),
            [(None, GREEN), (1, ORANGE)],
        ),
    ]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, [], unbound)
