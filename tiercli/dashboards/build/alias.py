"""Alias: what clients call, across all its candidates."""

from __future__ import annotations

from collections.abc import Collection

from tiercli.catalog.model import Catalog
from tiercli.dashboards.build.finish import finish, query_variable
from tiercli.dashboards.build.panels import ALIAS, Query, firing, limit_of, normal_of, timeseries

NAME = "alias"
TITLE = "LLM traffic: alias"
DESCRIPTION = "One alias, or several: who answers for it, how well, and what it costs."
_DRIFT = '{signal="%s", subject=~"${alias}"}'


def build(catalog: Catalog, unbound: Collection[str] = ()) -> str | None:
    """The dashboard's JSON; None when no source has any of it."""
    panels = [
        timeseries(
            NAME,
            "Calls per minute",
            "Calls that were answered, by alias.",
            "short",
            [Query(f"sum by (alias) (tier:alias:requests:rate5m{ALIAS}) * 60", "{{alias}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Share by step",
            "Share of calls by fallback step: 0 is the primary. Step 1 rising: the primary fails, the chain does its job.",
            "percentunit",
            [Query(f"tier:alias:fallback:ratio5m{ALIAS}", "{{alias}} step {{fallback_step}}")],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Calls by candidate",
            "Calls per minute by the provider, model and region that answered.",
            "short",
            [
                Query(
                    f"sum by (alias, provider, model, region) (tier:alias:requests:rate5m{ALIAS}) * 60",
                    "{{alias}}: {{provider}} / {{model}} / {{region}}",
                )
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Eval score",
            "Score of production evals, rolling hour; grey: the prior 7 days; red: what it is held to. A fall is the first sign that a model changed.",
            "percentunit",
            [
                Query(f"tier:alias:eval_score:mean{ALIAS}", "{{alias}} score"),
                normal_of("tier:drift:value:baseline" + _DRIFT % "eval score", "{{subject}} baseline"),
                limit_of(f"tier:alias:eval_score:target{ALIAS}", "{{alias}} target"),
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Cost per 1,000 calls",
            "US dollars per 1,000 calls; grey: the prior 7 days. It rises with longer prompts, dearer fallbacks, cache misses "
            "or a new price book.",
            "currencyUSD",
            [
                Query(f"tier:alias:cost_usd_per_1k:ratio5m{ALIAS}", "{{alias}} cost"),
                normal_of("tier:drift:value:baseline" + _DRIFT % "cost per 1k calls", "{{subject}} baseline"),
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Answer length",
            "Output tokens per call, mean and p95; grey: the mean of the prior 7 days.",
            "short",
            [
                Query(f"tier:alias:response_tokens:mean5m{ALIAS}", "{{alias}} mean"),
                Query(f"tier:alias:response_tokens:p95_5m{ALIAS}", "{{alias}} p95"),
                normal_of("tier:drift:value:baseline" + _DRIFT % "output tokens per call", "{{subject}} baseline"),
            ],
            (8, 8),
        ),
        timeseries(
            NAME,
            "Cache hit rate",
            "Share of lookups that hit, by kind of cache. A fall after a deploy: the prompt's beginning has changed.",
            "percentunit",
            [Query(f"tier:alias:cache_hit:ratio5m{ALIAS}", "{{alias}} {{kind}}")],
            (6, 7),
        ),
        timeseries(
            NAME,
            "Refusal rate",
            "Share of calls that a model or the routing refused; grey: the prior 7 days.",
            "percentunit",
            [
                Query(f"tier:alias:refusal:ratio5m{ALIAS}", "{{alias}} refused"),
                normal_of("tier:drift:value:baseline" + _DRIFT % "refusal rate", "{{subject}} baseline"),
            ],
            (6, 7),
        ),
        timeseries(
            NAME,
            "Postcondition violations",
            "Answers of the wrong shape in 5 minutes, by the model that gave them. Any that go on are an alarm.",
            "short",
            [Query(f"tier:provider:postcondition_violations:increase5m{ALIAS}", "{{alias}}: {{provider}} / {{model}}")],
            (6, 7),
        ),
        timeseries(
            NAME,
            "Falls by reason",
            "Falls per minute from one candidate to the next, by the failure that caused them.",
            "short",
            [Query(f"sum by (alias, reason) (tier:alias:fallbacks:rate5m{ALIAS}) * 60", "{{alias}} {{reason}}")],
            (6, 7),
        ),
        firing(NAME, catalog, 'alias=~"${alias}"', (24, 6)),
    ]
    variables = [query_variable("alias", "Alias", "label_values(tier:alias:primary_info, alias)")]
    return finish(NAME, TITLE, DESCRIPTION, catalog, panels, variables, unbound)
