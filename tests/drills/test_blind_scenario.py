"""Faults are drawn with a seed, and meet only whom the catalog has and somebody calls."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.catalog.model import Catalog
from tiercli.drills.blind.answer import Kind, culprits_of, parse_answer
from tiercli.drills.blind.ground import survey
from tiercli.drills.blind.recipes import RECIPES
from tiercli.drills.blind.scenario import Scenario, draw
from tiercli.drills.load.plan import LoadWay, build_load_plan
from tiercli.drills.sites.estate import build_estate
from tiercli.drills.spec.mix import build_mix
from tiercli.drills.spec.model import Load, Mix
from tiercli.faults.kinds import FAULTS_BY_NAME
from tiercli.faults.kinds.check import check_fault

SEEDS = range(400)
US_EAST = {"provider": "anthropic", "model": "claude-sonnet-4-6", "region": "us-east-1"}


def drawn_from(catalog: Catalog) -> list[Scenario]:
    ground = survey(catalog)
    return [draw(ground, f"1/{number}") for number in SEEDS]


@pytest.fixture(scope="module", params=["hybrid", "litellm-vllm", "minimal"])
def catalog(request: pytest.FixtureRequest) -> Catalog:
    return load_catalog(ROOT / "catalogs" / f"{request.param}.yaml").catalog


def test_the_same_seed_draws_the_same_and_another_does_not(hybrid: LoadedCatalog) -> None:
    ground = survey(hybrid.catalog)
    assert [draw(ground, f"7/{one}") for one in range(30)] == [draw(ground, f"7/{one}") for one in range(30)]
    assert [draw(ground, f"7/{one}") for one in range(30)] != [draw(ground, f"8/{one}") for one in range(30)]


def test_every_fault_that_is_drawn_can_be_brought_about_and_answered(catalog: Catalog) -> None:
    known = culprits_of(catalog)
    for one in drawn_from(catalog):
        check_fault(one.fault, one.target, one.settings)
        one.use()
        assert set(one.culprits) <= set(known)
        assert one.is_right(parse_answer(str(one.truth), known))


def test_only_who_is_there_is_met(catalog: Catalog) -> None:
    places = set(catalog.provider_regions())
    servers = {name for _, name, _ in catalog.servers()}
    for one in drawn_from(catalog):
        target = one.target
        if "region" in target:
            assert (target["provider"], target["region"]) in places
        assert target.get("server") in {None, *servers}
        assert target.get("alias") in {None, *catalog.aliases}
        assert target.get("tenant") in {None, *catalog.tenants}


def test_a_place_that_nobody_calls_first_is_left_alone(hybrid: LoadedCatalog) -> None:
    met = {(one.target.get("provider"), one.target.get("region")) for one in drawn_from(hybrid.catalog)}
    assert ("anthropic", "ap-south-1") in met
    assert ("anthropic", "us-east-1") not in met


def test_a_place_with_so_few_calls_that_nothing_would_show_is_left_alone(
    changed_hybrid: Callable[..., LoadedCatalog],
) -> None:
    def call_it_rarely(data: dict[str, Any]) -> None:
        data["aliases"] |= {f"chat-{number}": copy.deepcopy(data["aliases"]["chat"]) for number in range(20)}
        data["aliases"]["rare"] = {"owner": "platform", "candidates": [US_EAST]}

    ground = survey(changed_hybrid(call_it_rarely).catalog)
    assert ground.calls["anthropic", "us-east-1"] > 0
    assert ("anthropic", "us-east-1") not in ground.busy()
    assert ("openai", "ap-south-1") in ground.busy()


def test_hybrid_can_have_every_fault_that_is_drawn(hybrid: LoadedCatalog) -> None:
    assert {recipe.fault for recipe in RECIPES} <= set(FAULTS_BY_NAME)
    assert {one.fault for one in drawn_from(hybrid.catalog)} == {recipe.fault for recipe in RECIPES}
    assert {one.kind for one in drawn_from(hybrid.catalog)} == set(Kind)


def test_a_region_is_wrong_only_for_somebody_whose_data_may_not_go_there(hybrid: LoadedCatalog) -> None:
    found = [one for one in drawn_from(hybrid.catalog) if one.kind is Kind.WRONG_REGION]
    assert found
    for one in found:
        # Of the tenants only acme-corp is bound to regions, and anthropic is nobody's first but theirs who are not.
        assert one.settings["region"] == "us-east-1"
        assert one.target["provider"] in ("openai", "vllm")


def test_more_load_is_more_than_servers_or_quotas_carry(catalog: Catalog) -> None:
    ground = survey(catalog)
    for one in drawn_from(catalog):
        if one.kind is Kind.OVERLOADED:
            place = next(at for at in ground.calls if f"{at[0]}/{at[1]}" == one.culprits[0].name)
            assert ground.calls[place] < ground.capacity(place) < ground.calls[place] + one.settings["calls_per_second"]
        if one.kind is Kind.QUOTA:
            assert one.settings["calls_per_second"] * 10 >= 0.9 * ground.quota_calls_per_10s
        if one.kind is Kind.SPEND:
            assert one.settings["calls_per_second"] * 10 <= 0.5 * ground.quota_calls_per_10s


def test_no_surge_but_that_of_quotas_exhausts_one(catalog: Catalog) -> None:
    # A tenant that overloads our servers and exhausts its quota too would be two faults, and either answer right.
    ground = survey(catalog)
    for one in drawn_from(catalog):
        if one.kind not in (Kind.OVERLOADED, Kind.SPEND):
            continue
        names = {f"{key}s" if key == "tenant" else f"{key}es": {value: 1.0} for key, value in one.target.items()}
        for part in build_mix(Load(arrivals_per_second=1, mix=Mix.model_validate(names)), catalog):
            bucket = (part.tenant, ground.primary[part.alias].provider)
            rate = ground.tenant_calls[bucket] + one.settings["calls_per_second"] * part.share
            assert 10 * rate < 0.8 * ground.quota_calls_per_10s


def test_hostile_names_reach_the_fault_and_the_load_whole(
    changed_hybrid: Callable[..., LoadedCatalog], tmp_path: Path
) -> None:
    tenant, alias, region = 'a "b"\\{c}/d', "пример, «чат» / 1", 'ap"south/1$'

    def rename(data: dict[str, Any]) -> None:
        data["tenants"][tenant] = {**data["tenants"].pop("internal-tools"), "aliases": [alias]}
        data["aliases"][alias] = data["aliases"].pop("smart-reasoner")
        openai = data["providers"]["openai"]["regions"]
        openai[region] = openai.pop("ap-south-1")
        for one in data["aliases"].values():
            for candidate in one["candidates"]:
                if candidate["provider"] == "openai":
                    candidate["region"] = region
        data["zones"]["in-region-only"]["regions"].append(region)

    loaded = changed_hybrid(rename)
    found = drawn_from(loaded.catalog)
    known = culprits_of(loaded.catalog)
    targets = [one.target for one in found]
    assert any(target.get("tenant") == tenant for target in targets)
    assert any(target.get("region") == region for target in targets)
    assert any(target.get("alias") == alias for target in targets)
    for one in found:
        check_fault(one.fault, one.target, one.settings)
        assert one.is_right(parse_answer(str(one.truth), known))
        if one.kind is Kind.SPEND:
            mix = Mix(aliases={one.target["alias"]: 1}, tenants={one.target["tenant"]: 1})
            load = Load(arrivals_per_second=1, mix=mix)
            plan = build_load_plan(load, loaded.catalog, way=LoadWay(""), windows_file=tmp_path / "x", factor=1)
            assert {(part.tenant, part.alias) for part in plan.mix} == {(one.target["tenant"], one.target["alias"])}


def test_the_estate_is_made_so_that_ordinary_load_fills_nothing(catalog: Catalog) -> None:
    ground = survey(catalog)
    settings = ground.settings()
    assert settings.gateway_instances is not None
    assert settings.gateway_instances > 1
    for place, rate in ground.calls.items():
        if ground.local(place):
            assert rate < 0.5 * ground.capacity(place)
    for rate in ground.tenant_calls.values():
        assert 10 * rate <= 0.5 * ground.quota_calls_per_10s


def test_the_sandbox_has_what_was_asked_for(hybrid: LoadedCatalog) -> None:
    ground = survey(hybrid.catalog)
    estate = build_estate(hybrid, 60, (), ground.settings())
    typical = estate.loaded.catalog.providers["vllm"].regions["mumbai-dc"].typical
    assert typical.concurrency == ground.places_per_server
    assert len(estate.loaded.catalog.gateway.targets) == 2
