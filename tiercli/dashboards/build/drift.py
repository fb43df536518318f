"""Drift: slow signals, now against the prior 7 days, the worst first. For the weekly review."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.dashboards.build.finish import finish, query_variable
from tiercli.dashboards.build.panels import (
    GREEN,
    ORANGE,
    RED,
    Query,
    comparison,
    firing,
    limit_of,
    normal_of,
    stat,
    timeseries,
)

NAME = "drift"
TITLE = "LLM traffic: drift"
DESCRIPTION = "What changes slowly and fails nothing: each signal now against the mean of its prior 7 days."
_CHOSEN = '{signal=~"${signal}", subject=~"${subject}"}'


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON; None when no source has any of it."""
    panels = [
        comparison(
            NAME,
            "Drift signals",
            "Each signal of each alias or provider: now, the prior 7 days, the change, and the change over its tolerance. Above "
            "1 it is flagged. Begin with the first row.",
            {
                "of tolerance": (f"tier:drift:departure:ratio{_CHOSEN}", "short"),
                "now": (f"tier:drift:value:mean1h{_CHOSEN}", "short"),
                "prior 7 days": (f"tier:drift:value:baseline{_CHOSEN}", "short"),
                "change": (f"tier:drift:change{_CHOSEN}", "short"),
            },
            (18, 12),
            first="of tolerance",
            overrides=[
                {
                    "matcher": {"id": "byName", "options": "of tolerance"},
                    "properties": [
                        {"id": "decimals", "value": 2},
                        {"id": "custom.cellOptions", "value": {"type": "color-background"}},
                        {
                            "id": "thresholds",
                            "value": {
                                "mode": "absolute",
                                "steps": [
                                    {"value": None, "color": GREEN},
                                    {"value": 0.5, "color": ORANGE},
                                    {"value": 1, "color": RED},
                                ],
                            },
                        },
                    ],
                }
            ],
        ),
        stat(
            NAME,
            "Flagged",
            "How many signals are outside their tolerance.",
            "short",
            Query(f"count(tier:drift:departure:ratio{_CHOSEN} > 1) or vector(0)", "flagged"),
            (6, 12),
            [(None, GREEN), (1, ORANGE), (5, RED)],
        ),
        timeseries(
            NAME,
            "Departure over time",
            "The change over its tolerance; red: where Drift begins. A step is a deploy or a new model, a slope is growth.",
            "short",
            [
                Query(f"tier:drift:departure:ratio{_CHOSEN}", "{{signal}} of {{subject}}"),
                limit_of("vector(1)", "alarm"),
            ],
            (12, 9),
        ),
        timeseries(
            NAME,
            "Signal and baseline",
            "The signal itself, mean of an hour; grey: the mean of its prior 7 days. Choose one signal: their units differ.",
            "short",
            [
                Query(f"tier:drift:value:mean1h{_CHOSEN}", "{{signal}} of {{subject}}"),
                normal_of(f"tier:drift:value:baseline{_CHOSEN}", "{{signal}} of {{subject}} baseline"),
            ],
            (12, 9),
        ),
        firing(NAME, catalog, 'alertname="Drift"', (24, 6)),
    ]
    variables = [
        query_variable("signal", "Signal", "label_values(tier:drift:value:mean1h, signal)"),
        query_variable("subject", "Of", 'label_values(tier:drift:value:mean1h{signal=~"${signal}"}, subject)'),
    ]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, variables, unbound)
