"""The plan counts; here the combinations are built one by one, exposed for real, and must come to the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract_metrics import ContractMetrics
from tiercli.cardinality.combinations import CONTRACT_RELATIONS, count_recorded
from tiercli.cardinality.estate import EstateCounts
from tiercli.cardinality.plan import RuleSeries, plan_series
from tiercli.catalog.loading import load_catalog
from tiercli.catalog.model import Candidate, Catalog
from tiercli.errors import InvalidInput
from tiercli.lint.rule_series import count_rule_series
from tiercli.resources import resource_folder
from tiercli.rules.deployment import timing_of
from tiercli.rules.recording import canonical_records
from tiercli.signals.contract import CONTRACT, ERROR_CODES, METRICS_BY_NAME
from tiercli.signals.label_policy import metric_policies
from tiercli.signals.recorded import RECORDED

HYBRID = load_catalog(resource_folder("catalogs") / "hybrid.yaml")
DIRECTIONS = ("input", "output", "cache_read", "cache_write")
STATUSES = ("success", "failure")


def tried(catalog: Catalog, alias: str, tenant: str) -> list[tuple[int, Candidate]]:
    """The candidates of an alias that a tenant's calls are tried at, with their steps."""
    regions = catalog.zones[catalog.tenants[tenant].zone].regions
    anywhere = regions is None or catalog.gateway.zones == "observed"
    return [
        (step, one)
        for step, one in enumerate(catalog.aliases[alias].candidates)
        if anywhere or one.region in (regions or ())
    ]


def label_sets(metric: str, catalog: Catalog) -> Iterator[tuple[str, ...]]:
    """Every label set that the catalog allows, in the order of the contract's labels; some may come twice."""
    offers = [tuple(offer) for offer in catalog.offers()]
    calls = [
        (name, feature, alias)
        for name, tenant in catalog.tenants.items()
        for feature, alias in product(tenant.features, catalog.tenant_aliases(tenant))
    ]
    regions = {region for _, region in catalog.provider_regions()}
    match metric.removeprefix("ai_gateway_"):
        case "requests_total":
            yield from ((*offer, status) for offer in offers for status in STATUSES)
        case "errors_total":
            yield from ((*offer, code) for offer in offers for code in ERROR_CODES)
        case "tokens_total":
            yield from ((*offer, direction) for offer in offers for direction in DIRECTIONS)
        case (
            "request_duration_seconds"
            | "time_to_first_token_seconds"
            | "unpriced_requests_total"
            | "quota_headroom_ratio"
        ):
            yield from offers
        case "cost_usd_total":
            yield from calls
        case "response_tokens":
            yield from ((alias, feature) for _, feature, alias in calls)
        case "tenant_tokens_total":
            yield from product(catalog.tenants, DIRECTIONS)
        case "alias_requests_total":
            for name, alias in catalog.aliases.items():
                for step, one in enumerate(alias.candidates):
                    yield name, one.provider, one.model, one.region, str(step)
        case "fallbacks_total":
            for name, tenant_name in product(catalog.aliases, catalog.tenants):
                for (_, last), (_, then) in pairwise(tried(catalog, name, tenant_name)):
                    for code in ERROR_CODES:
                        yield name, str(last), str(then), code
        case "cache_lookups_total":
            yield from product(catalog.aliases, ("exact", "semantic"), ("hit", "miss"))
        case "refusals_total":
            yield from product(catalog.aliases, ("model", "routing"))
        case "eval_score" | "alias_request_duration_seconds":
            yield from ((alias,) for alias in catalog.aliases)
        case "tenant_requests_total":
            yield "", "", "failure"
            for name, _, alias_name in calls:
                yield name, "", "failure"
                for _, one in tried(catalog, alias_name, name):
                    yield from ((name, one.region, status) for status in STATUSES)
            for name in catalog.tenants:  # one that may call nothing is refused all the same
                yield name, "", "failure"
        case "quota_bucket_fill_ratio":
            for name, _, alias_name in calls:
                yield from ((name, one.provider) for _, one in tried(catalog, alias_name, name))
        case "credentials_issued_total":
            yield from ((name,) for name in catalog.providers)
        case "scope_denials_total":
            yield from ((name,) for name in catalog.tenants)
        case "zone_violations_total":
            for name, tenant in catalog.tenants.items():
                allowed = catalog.zones[tenant.zone].regions
                yield from ((name, region) for region in regions if allowed is not None and region not in allowed)
        case "postcondition_violations_total":
            for name, alias in catalog.aliases.items():
                yield from ((one.provider, one.model, name) for one in alias.candidates)
        case "local_queue_depth":
            for provider in catalog.providers.values():
                for server, settings_ in provider.servers.items():
                    yield from ((model, server) for model in settings_.models)
        case "price_book_info":
            yield ("1",)
        case "audit_records_total" | "audit_bytes_total" | "up":
            yield ()
        case other:
            raise AssertionError(f"{other} is not built here")


def test_every_metric_and_recorded_series_has_its_count() -> None:
    assert {
        name: sorted(label for relation in relations for label in relation.labels)
        for name, relations in CONTRACT_RELATIONS.items()
    } == {metric.name: sorted(metric.labels) for metric in CONTRACT}
    estate = EstateCounts(HYBRID.catalog)
    # Every one can occur in the hybrid catalog, but for what it does not use.
    assert {series.name for series in RECORDED if count_recorded(series, estate) == 0} == {
        "tier:gateway:deployment_info"
    }


@pytest.mark.parametrize("name", METRICS_BY_NAME)
def test_the_plan_is_what_a_gateway_exposes_that_has_seen_everything(name: str) -> None:
    metric = METRICS_BY_NAME[name]
    exposed = ContractMetrics((name,))
    for values in label_sets(name, HYBRID.catalog):
        labels = dict(zip(metric.labels, values, strict=True))
        if metric.type == "counter":
            exposed.count(name, **labels)
        elif metric.type == "gauge":
            exposed.set(name, 1, **labels)
        else:
            exposed.observe(name, 1, **labels)
    families = text_string_to_metric_families(generate_latest(exposed.registry).decode())
    samples = sum(len(family.samples) for family in families)
    [line] = [line for line in plan_series(HYBRID.catalog).lines if line.name == name]
    assert line.series == samples


NAMES = st.sampled_from("abcd")


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """Small estates of any shape that references allow."""
    provider_names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    providers = {}
    for name in provider_names:
        regions = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
        offered = st.none() | st.lists(st.sampled_from(regions), min_size=1, unique=True).map(tuple)
        models = {
            model: {"regions": draw(offered)} for model in draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))
        }
        servers = {
            f"{name}{number}": {"region": regions[0], "models": tuple(models)}
            for number in range(draw(st.integers(0, 2)))
        }
        providers[name] = {
            "tier": "local",
            "owner": "o",
            "regions": {key: {} for key in regions},
            "models": models,
            "servers": servers,
        }
    base = HYBRID.catalog.model_dump(by_alias=True) | {"providers": providers}
    offers = [offer._asdict() for offer in Catalog.model_validate(base).offers()]
    chains = st.lists(st.sampled_from(offers), min_size=1, max_size=3, unique_by=lambda offer: tuple(offer.values()))
    aliases = {
        name: {"owner": "o", "candidates": draw(chains)} for name in draw(st.lists(NAMES, min_size=1, unique=True))
    }
    zone = st.none() | st.lists(NAMES, unique=True).map(tuple)
    zones = {"x": {"regions": draw(zone)}, "y": {}}
    callable_ = st.none() | st.lists(st.sampled_from(sorted(aliases)), unique=True).map(tuple)
    tenants = {
        name: {
            "features": draw(st.lists(NAMES, min_size=1, unique=True)),
            "aliases": draw(callable_),
            "budget_usd_per_month": 1,
            "zone": draw(st.sampled_from(["x", "y"])),
        }
        for name in draw(st.lists(NAMES, min_size=1, unique=True))
    }
    cardinality = base["cardinality"] | {"policy": draw(st.lists(policies(), max_size=4))}
    gateway = base["gateway"] | {"zones": draw(st.sampled_from(["observed", "enforced"]))}
    return Catalog.model_validate(
        base | {"aliases": aliases, "zones": zones, "tenants": tenants, "gateway": gateway, "cardinality": cardinality}
    )


def policies() -> st.SearchStrategy[dict[str, Any]]:
    """Any labels of any metric dropped, any tenants grouped; whether an alarm needs them is not asked here."""
    labels = sorted({label for metric in CONTRACT for label in metric.labels})
    grouped = st.fixed_dictionaries({"keep": st.lists(NAMES, max_size=2, unique=True), "top": st.integers(0, 2)})
    return st.fixed_dictionaries(
        {
            "metrics": st.lists(st.sampled_from(["*", *METRICS_BY_NAME]), min_size=1, max_size=3),
            "drop": st.lists(st.sampled_from(labels), max_size=4, unique=True),
            "rare_tenants": st.none() | grouped,
        }
    )


def under_policy(metric: str, catalog: Catalog) -> set[tuple[str, ...]]:
    """The label sets that are left when each is mapped, one by one."""
    policy = metric_policies(catalog)[metric]
    left = set()
    for values in label_sets(metric, catalog):
        labels = dict(zip(METRICS_BY_NAME[metric].labels, values, strict=True))
        if policy.groups is not None:
            labels["tenant"] = policy.groups.label(labels["tenant"])
        left.add(tuple(labels[label] for label in policy.labels))
    return left


@settings(max_examples=300, deadline=None)
@given(catalog=catalogs())
def test_counting_comes_to_what_building_every_combination_comes_to(catalog: Catalog) -> None:
    planned = {line.name: line.label_sets for line in plan_series(catalog).lines if line.kind == "contract"}
    assert planned == {name: len(under_policy(name, catalog)) for name in METRICS_BY_NAME}


def test_ten_thousand_tenants_three_hundred_features_forty_aliases() -> None:
    offer = next(HYBRID.catalog.offers())._asdict()
    aliases = {f"a{n}": {"owner": "platform", "candidates": [offer]} for n in range(40)}
    features = tuple(f"f{n}" for n in range(300))
    tenants = {
        f"t{n}": {"features": features[n % 7 :], "budget_usd_per_month": 1, "zone": "anywhere", "aliases": tuple(aliases)[n % 5 :]}
        for n in range(10_000)
    }  # fmt: skip
    base = HYBRID.catalog.model_dump(by_alias=True)
    catalog = Catalog.model_validate(base | {"aliases": aliases, "tenants": tenants})
    planned = {line.name: line.series for line in plan_series(catalog).lines}
    assert planned["ai_gateway_cost_usd_total"] == sum((300 - n % 7) * (40 - n % 5) for n in range(10_000))
    assert planned["ai_gateway_response_tokens"] == 300 * 40 * (10 + 1 + 2)
    assert planned["ai_gateway_tenant_requests_total"] == 10_000 * 2 + 10_000 + 1


def test_instances_multiply_what_is_exposed_and_not_what_is_recorded() -> None:
    gateway = HYBRID.catalog.gateway.model_copy(update={"targets": ("a:1", "b:1", "c:1")})
    one = {line.name: line for line in plan_series(HYBRID.catalog).lines}
    three = {line.name: line for line in plan_series(HYBRID.catalog.model_copy(update={"gateway": gateway})).lines}
    assert three["ai_gateway_requests_total"].series == 3 * one["ai_gateway_requests_total"].series
    assert three["tier:provider:requests:rate5m"].series == one["tier:provider:requests:rate5m"].series
    assert three["up and scrape_*"].series == one["up and scrape_*"].series + 2 * 5


def test_alerts_thresholds_and_recorded_names_come_from_the_rules() -> None:
    rules = RuleSeries(
        recorded=frozenset({"tier:provider:info"}),
        constants={"tier:threshold:x": 7},
        identities={"A": ("provider", "region"), "B": ("tenant",), "C": ()},
    )
    plan = plan_series(HYBRID.catalog, rules)
    planned = {line.name: line.series for line in plan.lines if line.kind not in ("contract", "vendor")}
    alerts = 4 + 4 + 1  # (provider, region), tenants, and one that has no identity
    assert planned == {
        "tier:provider:info": 4,
        "tier:threshold:x": 7,
        "ALERTS": 2 * alerts,
        "ALERTS_FOR_STATE": alerts,
        "up and scrape_*": (3 + 2 + 1) * 5,  # the gateway, two servers, two GPU exporters, Prometheus itself
        "prometheus_*": 2,
    }
    assert plan.series == sum(line.series for line in plan.lines)


def test_an_alarm_by_a_label_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InvalidInput, match="alerts of Odd by 'pod' cannot be counted"):
        plan_series(HYBRID.catalog, RuleSeries(identities={"Odd": ("pod",)}))


def test_the_rules_of_the_hybrid_catalog_record_what_the_contract_of_recorded_series_says() -> None:
    rules = count_rule_series(HYBRID)
    unbound = set(canonical_records(HYBRID, timing_of(HYBRID.catalog)).unbound) | {"tier:gateway:deployment_info"}
    assert rules.recorded == {series.name for series in RECORDED} - unbound
    assert rules.constants == {
        "tier:threshold:provider_latency_high_min_seconds": 1,
        "tier:policy:postcondition_violations_who": 3,
    }
    assert rules.identities["ProviderDown"] == ("provider", "model", "region")


@pytest.mark.parametrize(
    ("series", "within"),
    [pytest.param(19, True, id="as many as there can be"), pytest.param(18, False, id="one too few")],
)
def test_a_budget_of_a_metric_holds_to_the_series(series: int, within: bool) -> None:
    budgets = HYBRID.catalog.cardinality
    cost = budgets.metrics["ai_gateway_cost_usd_total"].model_copy(update={"series": series})
    changed = budgets.model_copy(update={"metrics": {"ai_gateway_cost_usd_total": cost}})
    plan = plan_series(HYBRID.catalog.model_copy(update={"cardinality": changed}))
    assert plan.within is within
    assert [line.name for line in plan.breaches] == ([] if within else ["ai_gateway_cost_usd_total"])


def test_the_total_holds_to_the_series_too() -> None:
    budgets = HYBRID.catalog.cardinality
    series = plan_series(HYBRID.catalog).series
    for allowed, within in ((series, True), (series - 1, False)):
        total = budgets.total.model_copy(update={"series": allowed})
        changed = budgets.model_copy(update={"total": total, "metrics": {}})
        plan = plan_series(HYBRID.catalog.model_copy(update={"cardinality": changed}))
        assert (plan.within, plan.over) == (within, not within)
