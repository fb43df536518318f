"""What each kind of inference server exposes, as a real Prometheus records it. Two tensor-parallel and two data-parallel
ranks, versions or finish reasons, where the server has them, all come to the same figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scraping import EXPOSITIONS, Found, exposing, near, recorded

from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import InvalidInput
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.bindings import binding_names, known_binding
from tiercli.signals.recorded import RECORDED
from tiercli.signals.sources import catalog_sources

Changed = Callable[[Callable[[dict[str, Any]], object]], LoadedCatalog]
WHO = ("llama-3.3-70b", "vllm-a")
EXPECTED: Found = {
    "tier:server:queue_depth:sum": {WHO: 7},
    "tier:server:running:sum": {WHO: 10},
    "tier:server:cache_usage:ratio": {WHO: 0.6},
    "tier:server:tokens:rate5m": {(*WHO, "input"): 150, (*WHO, "output"): 40},
    "tier:server:requests:rate5m": {WHO: 5},
    "tier:server:latency_seconds:p95_5m": {WHO: 15},
    "tier:server:ttft_seconds:p95_5m": {WHO: 0.75},
    "tier:server:queue_seconds:p95_5m": {WHO: 1.5},
}
FULLEST_RANK: Found = {"tier:server:cache_usage:ratio": {WHO: 0.8}}


def _catalog(changed: Changed, binding: str, address: str, models: tuple[str, ...] = WHO[:1]) -> LoadedCatalog:
    def change(data: dict[str, Any]) -> None:
        vllm = data["providers"]["vllm"]
        vllm["binding"] = binding
        vllm["models"] = {name: {} for name in ("llama-3.3-70b", *models)}
        vllm["servers"]["vllm-a"] |= {"metrics": address, "models": list(models)}
        del vllm["servers"]["vllm-b"]

    return changed(change)


@pytest.mark.parametrize(
    ("exposition", "binding", "differs"),
    [
        ("vllm", "vllm", {}),
        ("vllm-old-names", "vllm", {}),
        ("vllm-escaped-names", "vllm", {}),
        ("sglang", "sglang", FULLEST_RANK),
        ("sglang-old-names", "sglang", FULLEST_RANK),
        ("tgi", "tgi", {}),
        ("llamacpp", "llamacpp", {}),
        ("triton", "triton", {}),
        ("dynamo", "dynamo", {}),
        ("nim", "nim", {}),
    ],
)
@pytest.mark.stack
def test_a_server_is_recorded(
    changed_hybrid: Changed, stack: StackBinaries, tmp_path: Path, exposition: str, binding: str, differs: Found
) -> None:
    yields = known_binding(binding).signals
    expected = {name: values for name, values in (EXPECTED | differs).items() if name in yields}
    assert set(expected) == set(yields)
    if exposition == "vllm-escaped-names":  # what a client makes of them in OpenMetrics
        text = (EXPOSITIONS / "vllm.txt").read_text().replace("vllm:", "vllm_")
    else:
        text = (EXPOSITIONS / f"{exposition}.txt").read_text()
    with exposing(text) as address:
        loaded = _catalog(changed_hybrid, binding, address)
        found = recorded(loaded, stack.prometheus.path, tmp_path, expected, ("model", "server", "direction"))
    assert near(found, expected), found


@pytest.mark.parametrize("name", [name for name in binding_names() if known_binding(name).kind in ("servers", "gpus")])
def test_every_series_is_bound_or_said_not_to_be(name: str) -> None:
    binding = known_binding(name)
    there, not_there = set(binding.signals), set(binding.unavailable)
    assert there | not_there == {one.name for one in RECORDED if one.bound_to == binding.kind}
    assert not there & not_there


def test_a_server_of_two_models_needs_metrics_that_say_which(changed_hybrid: Changed) -> None:
    two = ("llama-3.3-70b", "other")
    catalog_sources(_catalog(changed_hybrid, "vllm", "a:1", two))
    with pytest.raises(InvalidInput) as raised:
        catalog_sources(_catalog(changed_hybrid, "llamacpp", "a:1", two))
    (problem,) = raised.value.problems
    assert "vllm-a serves 2 models, and llamacpp does not report which" in problem.found
    assert problem.location.line > 1
