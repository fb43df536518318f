"""Compliance: where each tenant's calls go, and what must never happen."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.conventions import dashboard_uid
from tiercli.dashboards.build.finish import finish, tenant_variable
from tiercli.dashboards.build.panels import GREEN, ORANGE, RED, TENANT, Query, drill_down, stat, table, timeseries

NAME = "compliance"
TITLE = "LLM traffic: compliance"
DESCRIPTION = (
    "Where each tenant's data goes, who was denied, which credentials were handed out, and whether all is recorded."
)


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON; None when no source has any of it."""
    to_tenant = drill_down(
        "Open the tenant",
        f"/d/{dashboard_uid('tenant', catalog.estate, catalog.env)}?var-datasource=${{datasource}}"
        "&var-tenant=${__data.fields.tenant:percentencode}",
    )
    linked = [{"matcher": {"id": "byName", "options": "tenant"}, "properties": [{"id": "links", "value": [to_tenant]}]}]
    panels = [
        stat(
            NAME,
            "Zone violations",
            "Calls outside their tenant's privacy zone in the last day. Anything but 0 is a security incident.",
            "short",
            Query(f"sum(tier:tenant:zone_violations:increase1d{TENANT}) or vector(0)", "violations"),
            (6, 6),
            [(None, GREEN), (0.5, RED)],
        ),
        stat(
            NAME,
            "Audit completeness",
            "Audit records over client calls. What is not recorded cannot be shown to anyone later.",
            "percentunit",
            Query("tier:gateway:audit_completeness:ratio5m", "complete"),
            (6, 6),
            [(None, RED), (0.99, GREEN)],
            decimals=2,
        ),
        table(
            NAME,
            "Violations by tenant",
            "Tenants whose calls left their zone in the last day, and where to. An empty table is what you want to see.",
            "short",
            Query(f"tier:tenant:zone_violations:increase1d{TENANT} > 0", "{{tenant}}", instant=True),
            (12, 6),
            renamed={"Value": "calls"},
            overrides=linked,
        ),
        timeseries(
            NAME,
            "Calls by tenant and region",
            "Calls per minute by tenant and the region that served them. A region that is new to a tenant is a question.",
            "short",
            [Query(f"sum by (tenant, region) (tier:tenant:calls:rate5m{TENANT}) * 60", "{{tenant}} in {{region}}")],
            (16, 9),
        ),
        table(
            NAME,
            "Tenants and zones",
            "The privacy zone of each tenant, as the catalog has it; the value is the monthly budget.",
            "currencyUSD",
            Query(f"tier:tenant:budget_usd{TENANT}", "{{tenant}}", instant=True),
            (8, 9),
            renamed={"Value": "budget"},
            overrides=linked,
        ),
        timeseries(
            NAME,
            "Credentials issued",
            "Credentials handed out per minute, by provider. A burst without a deploy or a rotation is a question.",
            "short",
            [Query("tier:provider:credentials_issued:rate5m * 60", "{{provider}}")],
            (12, 7),
        ),
        stat(
            NAME,
            "Scope denials",
            "Calls in 5 minutes that were denied for lack of scope: a wrong key, or somebody who tries.",
            "short",
            Query(f"sum(tier:tenant:scope_denials:increase5m{TENANT}) or vector(0)", "denied"),
            (12, 7),
            [(None, GREEN), (1, ORANGE)],
        ),
    ]
    variables = [tenant_variable(catalog)]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, variables, unbound)
