"""What is normal in a simulated estate under a given load, by formula: it is known before anything has run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiercli.sandbox.plan import CandidatePlan, Endpoint, EstatePlan
from tiercli.sandbox.providers.answers import mean_output_tokens, mean_seconds, usual_output_tokens
from tiercli.signals.costs import gpu_cost_usd, token_cost_usd


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls per real second by (alias, tenant, feature), and how long prompts and answers may be, tokens."""

    calls: Mapping[tuple[str, str, str], float]
    input_tokens: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Usual:
    """US dollars per real second by tenant; output tokens per call and US dollars per 1,000 calls by alias."""

    tenant_usd: Mapping[str, float]
    alias_output_tokens: Mapping[str, float]
    alias_usd_per_1k: Mapping[str, float]


def usual_of(plan: EstatePlan, traffic: Traffic) -> Usual:
    """What `traffic` adds up to if the first candidate in its tenant's zone answers every call."""
    endpoints = {endpoint.key: endpoint for endpoint in plan.endpoints}
    aliases = {alias.name: alias for alias in plan.aliases}
    tenant_usd: dict[str, float] = {}
    calls: dict[str, float] = {}
    tokens: dict[str, float] = {}
    spent: dict[str, float] = {}
    for (alias, tenant, feature), rate in traffic.calls.items():
        zone = plan.catalog.regions_of(plan.catalog.tenants[tenant])
        served = (candidate for candidate in aliases[alias].candidates if zone is None or candidate.region in zone)
        candidate = next(served, None)
        if candidate is None:
            continue
        output = mean_output_tokens(usual_output_tokens(alias, feature), traffic.max_tokens)
        usd = rate * _cost(plan, candidate, endpoints[candidate.endpoints[0]], traffic.input_tokens, output)
        tenant_usd[tenant] = tenant_usd.get(tenant, 0.0) + usd
        spent[alias] = spent.get(alias, 0.0) + usd
        calls[alias] = calls.get(alias, 0.0) + rate
        tokens[alias] = tokens.get(alias, 0.0) + rate * output
    return Usual(
        tenant_usd,
        {alias: tokens[alias] / rate for alias, rate in calls.items() if rate},
        {alias: 1000 * spent[alias] / rate for alias, rate in calls.items() if rate},
    )


def _cost(
    plan: EstatePlan, candidate: CandidatePlan, endpoint: Endpoint, input_tokens: float, output_tokens: float
) -> float:
    book = plan.catalog.price_book
    price = book.models.get(candidate.provider, {}).get(candidate.model)
    if price is not None:
        return token_cost_usd(price, input_tokens=input_tokens, output_tokens=output_tokens)
    if endpoint.tier == "local" and book.gpu_usd_per_hour is not None:
        return gpu_cost_usd(endpoint.gpus, endpoint.concurrency, mean_seconds(endpoint), book.gpu_usd_per_hour)
    return 0.0
