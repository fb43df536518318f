"""Home: what is wrong, on one screen, and one click to where it is wrong."""

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
    drill_down,
    ours,
    stat,
    state_timeline,
    table,
    timeseries,
)

NAME = "home"
TITLE = "LLM traffic: home"
DESCRIPTION = "What is wrong now, over both tiers. Start here; click through to the provider."


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON."""
    mine = ours(catalog.estate, catalog.env)
    provider = f"/d/{dashboard_uid('provider', catalog.estate, catalog.env)}?var-datasource=${{datasource}}"
    to_provider = drill_down(
        "Open the provider",
        provider
        + "&var-provider=${__field.labels.provider:percentencode}&var-region=${__field.labels.region:percentencode}",
    )
    from_row = drill_down(
        "Open the provider",
        provider
        + "&var-provider=${__data.fields.provider:percentencode}&var-region=${__data.fields.region:percentencode}",
    )
    panels = [
        table(
            NAME,
            "Firing alarms",
            "Every alarm that fires now, pages first. Each has a runbook; an empty table is what you want to see.",
            "short",
            Query(
                f'sort_desc(label_replace(ALERTS{{alertstate="firing", severity=~"page|notify|trend", {mine}}}, '
                '"alarm", "$1", "alertname", "(.*)"))',
                "{{alertname}}",
                instant=True,
            ),
            (16, 7),
            hidden=("alertname", "alertstate", "estate", "env", "source", "Value"),
            overrides=[
                {
                    "matcher": {"id": "byName", "options": "severity"},
                    "properties": [
                        {"id": "custom.cellOptions", "value": {"type": "color-background"}},
                        {
                            "id": "mappings",
                            "value": [
                                {
                                    "type": "value",
                                    "options": {
                                        "page": {"text": "page", "color": RED, "index": 0},
                                        "notify": {"text": "notify", "color": ORANGE, "index": 1},
                                        "trend": {"text": "trend", "color": "blue", "index": 2},
                                    },
                                }
                            ],
                        },
                    ],
                },
                {
                    "matcher": {"id": "byName", "options": "provider"},
                    "properties": [{"id": "links", "value": [from_row]}],
                },
            ],
        ),
        stat(
            NAME,
            "Gateway instances",
            "Gateway instances that are up and say that they are healthy. At 0 no call is served: tier-zero outage.",
            "short",
            Query("tier:gateway:healthy_instances:count", "healthy"),
            (4, 7),
            [(None, RED), (1, GREEN)],
        ),
        stat(
            NAME,
            "Zone violations",
            "Calls served outside their tenant's privacy zone in the last day. Anything but 0 is a security incident.",
            "short",
            Query("sum(tier:tenant:zone_violations:increase1d) or vector(0)", "violations"),
            (4, 4),
            [(None, GREEN), (0.5, RED)],
        ),
        stat(
            NAME,
            "Audit completeness",
            "Audit records over client calls. Below 99 % calls go unrecorded: a blind spot.",
            "percentunit",
            Query("tier:gateway:audit_completeness:ratio5m", "complete"),
            (4, 3),
            [(None, RED), (0.99, GREEN)],
            decimals=1,
        ),
        state_timeline(
            NAME,
            "Provider health",
            "A lane for each provider and region: healthy, degraded (above an error or latency threshold), down (nothing "
            "succeeds). Compare regions of one provider: is it the region or the model?",
            [
                Query(
                    "(max by (provider, region) (tier:provider:region_error_ratio:rate5m) >= 0.999) * 0 + 2"
                    " or on (provider, region) max by (provider, region) ("
                    "(tier:provider:latency_seconds:p95_5m"
                    " > on (provider, model, region) tier:provider:latency_seconds:p95_5m:threshold) * 0 + 1"
                    " or (tier:provider:error_ratio:rate5m"
                    " > on (provider, model, region) tier:provider:error_ratio:rate5m:threshold) * 0 + 1)"
                    " or on (provider, region) max by (provider, region) (tier:provider:info) * 0",
                    "{{provider}} / {{region}}",
                )
            ],
            (24, 8),
            {0: ("healthy", GREEN), 1: ("degraded", ORANGE), 2: ("down", RED)},
            links=[to_provider],
        ),
        timeseries(
            NAME,
            "Calls per minute",
            "Attempts per minute by provider and region, both tiers. A line that falls while another rises is a fallback.",
            "short",
            [Query("sum by (provider, region) (tier:provider:requests:rate5m) * 60", "{{provider}} / {{region}}")],
            (12, 9),
            links=[to_provider],
        ),
        timeseries(
            NAME,
            "Fallback share",
            "Share of each alias's calls that a fallback candidate answered. It rises when the primary fails.",
            "percentunit",
            [
                Query(
                    'sum by (alias, fallback_step) (tier:alias:requests:rate5m{fallback_step=~"[1-9].*"})'
                    " / on (alias) group_left () sum by (alias) (tier:alias:requests:rate5m)",
                    "{{alias}} step {{fallback_step}}",
                )
            ],
            (12, 9),
        ),
    ]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, [], unbound)
