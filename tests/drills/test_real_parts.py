"""`--real` without what it asks for: each refusal says what would help, before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tiercli.catalog.loading import load_catalog
from tiercli.drills.sites.estate import build_estate
from tiercli.errors import ExitCode
from tiercli.sandbox.plan import plan_estate
from tiercli.sandbox.real_parts.litellm import proxy_config

Run = Callable[..., Any]
CHAIN = ROOT / "tests" / "real_chain" / "catalog.yaml"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--real", "lama.cpp"], "did you mean 'llama.cpp'? (accepted: litellm, llama.cpp)"),
        (["--real", "litellm"], "litellm: the catalog's gateway has the binding native"),
        (["--real", "llama.cpp"], "llama.cpp: no provider of the catalog has the binding llamacpp"),
        (["--real", "llama.cpp", "--env", "staging"], "--real are for sandboxes"),
    ],
)
def test_what_does_not_fit_is_refused(run_tiercli: Run, arguments: list[str], said: str) -> None:
    done = run_tiercli("drill", "run", "quiet", *arguments)
    assert done.returncode == ExitCode.INVALID_INPUT
    assert said in done.stderr


@pytest.mark.parametrize("name", ["litellm", "llama.cpp"])
def test_a_real_part_that_is_not_installed_says_how_to_get_it(
    run_tiercli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    for variable in ("TIERCLI_LITELLM", "TIERCLI_LLAMA_SERVER"):
        monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    done = run_tiercli("drill", "run", "quiet", "--catalog", str(CHAIN), "--real", name)
    assert done.returncode == ExitCode.ENVIRONMENT_FAILED
    assert "is no program" in done.stderr
    assert "make real-parts" in done.stderr


def test_what_real_parts_cannot_be_is_told_at_once(run_tiercli: Run, tmp_path: Path) -> None:
    data = yaml.safe_load(CHAIN.read_text(encoding="utf-8"))
    data["providers"]["llama"]["servers"]["llama-1"]["gpus"] = 2
    data["sources"] = {"log": {"binding": "audit", "targets": ["log.internal:9464"]}}
    del data["gateway"]["deployments"]["chat-helsinki"]
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    done = run_tiercli("drill", "run", "quiet", "--catalog", str(file), "--real", "litellm", "--real", "llama.cpp")
    assert done.returncode == ExitCode.INVALID_INPUT
    for said in (
        "gateway.deployments has 0 ids for nebius/qwen3-32b/helsinki, and 1 are needed",
        "nothing would write what the source 'log' (audit) counts",
        "llama-1 has GPUs",
    ):
        assert said in done.stderr


def test_litellm_is_configured_as_the_catalog_routes(tmp_path: Path) -> None:
    estate = build_estate(load_catalog(CHAIN), 10)
    ports = iter(range(20000, 20100))
    plan = plan_estate(estate.loaded.catalog, folder=tmp_path, allocate=lambda: next(ports), token_file=tmp_path / "t")
    config = proxy_config(plan)
    models = {entry["model_name"]: entry for entry in config["model_list"]}
    assert {name: entry["model_info"]["id"] for name, entry in models.items()} == {
        "chat": "chat-paris",
        "chat-fallback-1": "chat-helsinki",
        "notes": "notes-cellar",
    }
    assert config["router_settings"]["fallbacks"] == [{"chat": ["chat-fallback-1"]}]
    # Through the fault proxy, or no fault would be felt.
    endpoints = {endpoint.provider: endpoint.url for endpoint in plan.endpoints}
    assert models["notes"]["litellm_params"]["api_base"] == f"{endpoints['llama']}/v1"
    assert json.dumps(config)  # plain data: it is written as YAML


def test_drills_in_the_simulated_gateway_do_not_apply_to_a_real_one(
    run_tiercli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERCLI_LITELLM", "/bin/true")
    done = run_tiercli("drill", "run", "price-mistake", "--catalog", str(CHAIN), "--real", "litellm")
    assert done.returncode == ExitCode.INVALID_INPUT
    assert "price-change acts in the simulated gateway, and the gateway is a real litellm" in done.stderr
