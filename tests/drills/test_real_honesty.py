"""What a run says of real parts, and what it leaves to the simulated gateway: nothing more is called real than was."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tiercli.catalog.loading import LoadedCatalog, load_catalog, parse_catalog
from tiercli.drills.sites.estate import build_estate
from tiercli.drills.sites.real import left_out_by
from tiercli.drills.sites.sandbox import DrillSandbox
from tiercli.drills.spec.cast import cast_drills
from tiercli.drills.spec.files import find_drill
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.sandbox.plan import plan_estate
from tiercli.sandbox.real_parts import REAL_PARTS
from tiercli.sandbox.real_parts.litellm import proxy_config
from tiercli.sandbox.stack.binaries import StackBinaries

CHAIN = ROOT / "tests" / "real_chain" / "catalog.yaml"
VLLM = {
    "tier": "local",
    "owner": "platform",
    "binding": "vllm",
    "regions": {"attic": {}},
    "models": {"large": {}},
    "servers": {"vllm-1": {"region": "attic", "models": ["large"], "gpus": 1, "metrics": "vllm-1.internal:8000"}},
}


def changed_chain(change: Callable[[dict[str, Any]], object]) -> LoadedCatalog:
    data = yaml.safe_load(CHAIN.read_text(encoding="utf-8"))
    change(data)
    return parse_catalog(yaml.safe_dump(data), "chain.yaml")


def limits_of(loaded: LoadedCatalog, stack: StackBinaries, *real: str) -> str:
    async def ask() -> str:
        estate = build_estate(loaded, 10, real=tuple(REAL_PARTS[name] for name in real))
        return DrillSandbox(estate, stack).limits()[0]

    return asyncio.run(ask())


def test_a_report_names_what_was_simulated_beside_real_parts(stack: StackBinaries) -> None:
    chain = load_catalog(CHAIN)
    rest = ": this proves the alarms, not the providers"
    assert limits_of(chain, stack, "litellm", "llama.cpp") == f"simulated: the cloud's providers{rest}"
    assert limits_of(chain, stack, "llama.cpp") == f"simulated: the cloud's providers, the gateway{rest}"
    assert limits_of(chain, stack, "litellm") == f"simulated: the cloud's providers, local servers{rest}"

    def beside(data: dict[str, Any]) -> None:
        data["providers"]["vllm"] = VLLM
        data["aliases"]["chat"]["candidates"].append({"provider": "vllm", "model": "large", "region": "attic"})

    # One local provider is real, the other is not.
    said = limits_of(changed_chain(beside), stack, "litellm", "llama.cpp")
    assert said == f"simulated: the cloud's providers, local servers{rest}"


@pytest.mark.parametrize(
    ("drill", "why"),
    [
        ("price-mistake", "price-change acts in the simulated gateway"),
        ("provider-cooldown", "it asks the simulated gateway for a cooldown"),
        ("provider-outage", None),
    ],
)
def test_a_drill_that_needs_the_simulated_gateway_does_not_apply_to_a_real_one(drill: str, why: str | None) -> None:
    loaded = load_catalog(CHAIN)
    [cast] = cast_drills([find_drill(drill, ())], loaded, load_alarm_set(loaded, timing_of(loaded.catalog)))
    told = left_out_by(cast, [REAL_PARTS["litellm"], REAL_PARTS["llama.cpp"]]).not_applicable
    assert told == (f"{why}, and the gateway is a real litellm" if why else None)
    assert left_out_by(cast, [REAL_PARTS["llama.cpp"]]).not_applicable is None


def test_a_quota_of_the_simulated_gateway_is_none_of_a_real_one() -> None:
    loaded = load_catalog(CHAIN)
    [cast] = cast_drills([find_drill("quiet", ())], loaded, load_alarm_set(loaded, timing_of(loaded.catalog)))
    settings = cast.spec.sandbox.model_copy(update={"tenant_calls_per_10s": 5})
    filled = type(cast)(cast.spec.model_copy(update={"sandbox": settings}), cast.played)
    told = left_out_by(filled, [REAL_PARTS["litellm"]]).not_applicable
    assert told == "the quota that it fills is the simulated gateway's, and the gateway is a real litellm"


def test_litellm_counts_spending_by_the_price_book(tmp_path: Path) -> None:
    loaded = changed_chain(
        lambda data: data["price_book"]["models"]["mistral"]["mistral-small"].update(cache_read=0.01, output=0.6)
    )
    ports = itertools.count(20_000)
    plan = plan_estate(loaded.catalog, folder=tmp_path, allocate=lambda: next(ports), token_file=tmp_path / "token")
    params = {entry["model_name"]: entry["litellm_params"] for entry in proxy_config(plan)["model_list"]}
    assert params["chat"]["input_cost_per_token"] == pytest.approx(0.1e-6)
    assert params["chat"]["output_cost_per_token"] == pytest.approx(0.6e-6)
    assert params["chat"]["cache_read_input_token_cost"] == pytest.approx(0.01e-6)
    # Without a price, nothing; LiteLLM's own list could know a model of that name.
    assert params["notes"]["input_cost_per_token"] == params["notes"]["output_cost_per_token"] == 0
