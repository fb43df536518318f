"""The plan of the simulated estate: what it takes from a catalog, and that it survives its file."""

from __future__ import annotations

import itertools
import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.model import Catalog
from tiercli.errors import InvalidInput
from tiercli.faults.proxy.routes import load_proxy_plan
from tiercli.resources import resource_folder
from tiercli.sandbox.plan import EstatePlan, load_plan, plan_estate, write_plan

HOSTILE = "q\"uo'te \\back {{ $1 }} ☃ %/slash"


def hybrid() -> dict[str, Any]:
    """The example catalog as data."""
    data: dict[str, Any] = yaml.safe_load((resource_folder("catalogs") / "hybrid.yaml").read_text(encoding="utf-8"))
    return data


def plan_of(data: dict[str, Any], folder: Path = Path("/nowhere")) -> EstatePlan:
    """The plan of a catalog's data, its ports counted from 20000."""
    ports = itertools.count(20_000)
    return plan_estate(
        Catalog.model_validate(data), folder=folder, allocate=lambda: next(ports), token_file=folder / "token"
    )


def test_there_is_an_endpoint_for_each_cloud_region_and_each_local_server() -> None:
    plan = plan_of(hybrid())
    assert [endpoint.key for endpoint in plan.endpoints] == [
        "anthropic/ap-south-1",
        "anthropic/us-east-1",
        "openai/ap-south-1",
        "vllm/mumbai-dc/vllm-a",
        "vllm/mumbai-dc/vllm-b",
    ]
    mumbai, *_, local = plan.endpoints
    assert (mumbai.p50_seconds, mumbai.p95_seconds, mumbai.concurrency, mumbai.gpus) == (0.46, 0.70, None, 0)
    assert (local.server, local.concurrency, local.gpus, local.tier) == ("vllm-b", 64, 4, "local")


def test_every_port_is_given_once() -> None:
    plan = plan_of(hybrid())
    ports = [gateway.port for gateway in plan.gateways] + [plan.proxy.control_port]
    ports += [port for endpoint in plan.endpoints for port in (endpoint.upstream_port, endpoint.proxy_port)]
    assert len(set(ports)) == len(ports) == 12


def test_the_proxy_stands_before_every_endpoint() -> None:
    plan = plan_of(hybrid())
    calls = [route for route in plan.proxy.routes if "scrape" not in route.labels]
    for endpoint, route in zip(plan.endpoints, calls, strict=True):
        assert (route.port, route.upstream) == (endpoint.proxy_port, f"http://127.0.0.1:{endpoint.upstream_port}")
        expected = {"provider": endpoint.provider, "region": endpoint.region, "tier": endpoint.tier}
        assert route.labels == expected | ({"server": endpoint.server} if endpoint.server else {})


def test_the_proxy_stands_before_every_scrape_and_a_fault_of_calls_does_not_reach_it() -> None:
    plan = plan_of(hybrid())
    scrapes = {
        (route.labels["scrape"], route.labels.get("server")): route
        for route in plan.proxy.routes
        if "scrape" in route.labels
    }
    servers = {endpoint.server: endpoint for endpoint in plan.endpoints if endpoint.server}
    assert set(scrapes) == {("gateway", None), *((of, name) for of in ("servers", "gpus") for name in servers)}
    assert scrapes["gateway", None].upstream == plan.gateways[0].url
    assert plan.gateways[0].address == f"127.0.0.1:{scrapes['gateway', None].port}"
    for name, endpoint in servers.items():
        assert endpoint.metrics_address == f"127.0.0.1:{scrapes['servers', name].port}"
        assert endpoint.gpu_metrics_address == f"127.0.0.1:{scrapes['gpus', name].port}"
    assert not any(
        route.matches({"provider": "vllm"}) or route.matches({"region": "mumbai-dc"}) for route in scrapes.values()
    )


def test_candidates_keep_their_order_and_a_local_one_has_all_its_servers() -> None:
    alias = next(alias for alias in plan_of(hybrid()).aliases if alias.name == "smart-reasoner")
    assert [(one.provider, one.region) for one in alias.candidates] == [
        ("anthropic", "ap-south-1"),
        ("anthropic", "us-east-1"),
        ("vllm", "mumbai-dc"),
    ]
    assert alias.candidates[2].endpoints == ("vllm/mumbai-dc/vllm-a", "vllm/mumbai-dc/vllm-b")


def test_there_are_as_many_gateways_as_the_catalog_has_targets() -> None:
    data = hybrid()
    data["gateway"]["targets"] = ["one:1", "two:2", "three:3"]
    gateways = plan_of(data).gateways
    assert len({gateway.audit_log for gateway in gateways}) == len(gateways) == 3


def test_a_local_provider_without_servers_is_one_endpoint() -> None:
    data = hybrid()
    data["providers"]["vllm"]["servers"] = {}
    last = plan_of(data).endpoints[-1]
    assert (last.key, last.server, last.models) == ("vllm/mumbai-dc", None, ("llama-3.3-70b",))


def test_names_that_hold_separators_do_not_collide() -> None:
    data = hybrid()
    cloud = data["providers"]["openai"]
    data["providers"] |= {"a/b": {**cloud, "regions": {"c": {}}}, "a": {**cloud, "regions": {"b/c": {}}}}
    keys = [endpoint.key for endpoint in plan_of(data).endpoints]
    assert len(set(keys)) == len(keys)


def test_an_alias_that_nothing_serves_is_invalid_input() -> None:
    data = hybrid()
    data["providers"]["vllm"]["servers"]["vllm-a"]["models"] = ["other"]
    data["providers"]["vllm"]["servers"]["vllm-b"]["models"] = ["other"]
    with pytest.raises(InvalidInput) as caught:
        plan_of(data)
    assert len(caught.value.problems) == 3
    assert "no endpoint serves vllm/llama-3.3-70b/mumbai-dc" in caught.value.problems[0].found


@pytest.mark.parametrize("name", ["plain", HOSTILE], ids=["plain names", "hostile names"])
def test_a_plan_survives_its_file(tmp_path: Path, name: str) -> None:
    data = hybrid()
    data["tenants"][name] = {**data["tenants"]["acme-corp"], "features": [name]}
    data["aliases"][name] = data["aliases"]["chat"]
    data["providers"][name] = {**data["providers"]["openai"], "regions": {name: {}}}
    plan = plan_of(data, tmp_path)
    path = tmp_path / "plan.json"
    write_plan(plan, path)
    assert load_plan(path) == plan
    assert load_proxy_plan(path) == plan.proxy
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"folder": 3}'], ids=str)
def test_a_file_that_is_no_plan_is_invalid_input(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput, match="not the plan of a simulated estate") as caught:
        load_plan(path)
    assert caught.value.problems


def test_a_plan_with_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(plan_of(hybrid(), tmp_path), path)
    data = json.loads(path.read_text())
    data["endpoints"][0]["proxy_port"] = "many"
    path.write_text(json.dumps(data))
    with pytest.raises(InvalidInput) as caught:
        load_plan(path)
    assert "endpoints.0.proxy_port" in caught.value.problems[0].found
