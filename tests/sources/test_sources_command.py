"""`tiercli sources` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from typer.testing import CliRunner

from tiercli.catalog.loading import LoadedCatalog
from tiercli.cli.main import app
from tiercli.errors import InvalidInput
from tiercli.resources import resource_folder
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.signals.timing import Timing


def _run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["sources", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_source_is_listed_with_what_it_covers() -> None:
    text = _run()
    listed: list[dict[str, Any]] = json.loads(_run("--format", "json"))["sources"]
    by_name = {one["source"]: one for one in listed}
    assert (by_name["vllm"]["covered"], by_name["vllm"]["of"]) == (8, 8)
    assert by_name["tgi"]["covered"] == 6
    assert all(name in text for name in by_name)


def test_a_source_shows_the_expression_or_the_reason() -> None:
    signals = {one["signal"]: one for one in json.loads(_run("show", "tgi", "--format", "json"))["signals"]}
    assert "tgi_queue_size" in signals["tier:server:queue_depth:sum"]["promql"]
    assert "first token" in signals["tier:server:ttft_seconds:p95_5m"]["unavailable"]
    text = _run("show", "tgi")
    assert "not there: TGI does not measure the time to the first token" in text


def test_an_unknown_source_is_told_with_the_known_ones() -> None:
    done = CliRunner().invoke(app, ["sources", "show", "vlm"])
    assert isinstance(done.exception, InvalidInput)
    assert done.exception.problems[0].suggestion == "vllm"


def test_a_catalog_is_told_what_it_is_left_without() -> None:
    catalog = str(resource_folder("catalogs") / "hybrid.yaml")
    said = json.loads(_run("--catalog", catalog, "--format", "json"))
    assert [one["binding"] for one in said["sources"]][:2] == ["native", "vllm"]
    for missing in said["alarms_left_out"].values():
        assert set(missing) <= set(said["unbound"])
    assert "unbound" in _run("--catalog", catalog)


def test_an_alarm_is_left_out_where_the_gateway_cannot_tell_what_it_is_about(
    changed_hybrid: Callable[..., LoadedCatalog],
) -> None:
    def behind_envoy(data: dict[str, Any]) -> None:
        offer = {"provider": "openai", "model": "gpt-5-mini", "region": "ap-south-1"}
        data["gateway"] |= {"binding": "envoy-ai-gateway", "deployments": {"openai/gpt-5-mini": offer}}

    alarms = load_alarm_set(changed_hybrid(behind_envoy), Timing())
    # Its errors are counted, but a 429 is an error like any other: silent for ever would be worse than left out.
    assert alarms.left_out["ProviderThrottled"] == {
        "tier:provider:throttle_ratio:rate5m": "envoy-ai-gateway: every failure has error_type _OTHER, also a 429"
    }
    assert "ProviderErrorRateHigh" in {alarm.alarm for alarm in alarms.alarms}
