"""`tiercli sources` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tiercli.catalog.document import parse_document
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.shape import load_model
from tiercli.cli.main import app
from tiercli.errors import InvalidInput
from tiercli.resources import resource_folder
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.signals.bindings import Binding
from tiercli.signals.timing import Timing

SCRAPES = Path(__file__).parent / "scrapes"


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


def test_a_source_says_which_versions_it_was_held_against_and_how() -> None:
    held = {one["source"]: one["held_against"] for one in json.loads(_run("--format", "json"))["sources"]}
    assert {"version": "0.32", "by": "scrape", "where": None} in held["vllm"]
    assert "0.33.0 (registry)" in _run()
    shown = _run("show", "dcgm")
    assert "held against 4.9.0 by a document: release notes" in shown
    assert json.loads(_run("show", "dcgm", "--format", "json"))["held_against"] == held["dcgm"]
    # What is tiercli's own needs no other; of every scrape that is named there is the text.
    assert {name for name, versions in held.items() if not versions} == {"native", "proxy", "audit", "tiercli-gpu"}
    scrapes = " ".join(path.name for path in SCRAPES.iterdir())
    assert all(
        one["version"] in scrapes or one["version"].rpartition(".")[0] in scrapes
        for versions in held.values()
        for one in versions
        if one["by"] == "scrape"
    )


@pytest.mark.parametrize(
    ("written", "at", "found", "accepted"),
    [
        ('{version: "4.9", by: guess}', "5:26", "by is 'guess'", "scrape, registry, document"),
        ("{version: 4.9, by: scrape}", "5:15", "version is 4.9", "text"),
        ('{version: "4.9"}', "5:5", "'by' is missing", ""),
        ('{version: "4.9", by: scrape, on: today}', "5:34", "unknown key 'on'", "version, by, where"),
    ],
)
def test_what_a_binding_was_held_against_is_checked(written: str, at: str, found: str, accepted: str) -> None:
    text = f"source: x\nkind: gpus\ndescription: X.\nheld_against:\n  - {written}\n"
    with pytest.raises(InvalidInput) as raised:
        load_model(parse_document(text, "x.yaml"), Binding)
    (problem,) = raised.value.problems
    assert str(problem.location) == f"x.yaml:{at}"
    assert found in problem.found
    assert accepted in problem.accepted


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
