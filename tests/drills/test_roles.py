"""Whom a drill is about on an estate that it was not written for: its roles, the catalog's severity and receivers, why it does not
apply."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import HYBRID, Done
from tests.drills.short_drill import SHORT
from tiercli.catalog.document import Document, parse_document
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.catalog.shape import load_model
from tiercli.drills.sites.estate import build_estate
from tiercli.drills.sites.sandbox import DrillSandbox
from tiercli.drills.spec.cast import Cast, cast_drill, cast_drills
from tiercli.drills.spec.check import check_spec
from tiercli.drills.spec.files import drill_files, load_drill
from tiercli.drills.spec.mix import build_mix
from tiercli.drills.spec.model import DrillSpec
from tiercli.drills.spec.roles import ROLES
from tiercli.errors import InvalidInput
from tiercli.rules.alarm_files import AlarmSet, load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.sandbox.plan import plan_estate
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.sources import exporters_of

CATALOGS = sorted(HYBRID.parent.glob("*.yaml"))
EXPECT: dict[str, Any] = SHORT["expect"][0]
FAULT: dict[str, Any] = SHORT["faults"][0]
Change = Callable[[Callable[[dict[str, Any]], None]], LoadedCatalog]
Run = Callable[..., Done]


def cast(loaded: LoadedCatalog, spec: DrillSpec, document: Document) -> Cast:
    """The drill on a catalog."""
    return cast_drill(spec, loaded, alarms_of(loaded), document.locate)


def alarms_of(loaded: LoadedCatalog) -> AlarmSet:
    """The alarms of a catalog, and those that it has no signals for."""
    return load_alarm_set(loaded, timing_of(loaded.catalog))


def short(loaded: LoadedCatalog, **changes: Any) -> Cast:
    """The short drill with some entries changed."""
    document = parse_document(yaml.safe_dump({**SHORT, **changes}, sort_keys=False), "drill.yaml")
    return cast(loaded, load_model(document, DrillSpec), document)


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_every_drill_runs_on_every_catalog_or_says_why_not(path: Path) -> None:
    loaded = load_catalog(path)
    not_applicable = {}
    for done in cast_drills(drill_files().values(), loaded, alarms_of(loaded)):
        if done.not_applicable is not None:
            not_applicable[done.spec.name] = done.not_applicable
            continue
        assert "$" not in done.spec.model_dump_json(), done.spec.name
        # Whoever is called in a fault is called in the load.
        called = {(part.alias, part.tenant) for part in build_mix(done.spec.load, loaded.catalog)}
        for use in done.spec.faults:
            if {"alias", "tenant"} <= set(use.target):
                assert (use.target["alias"], use.target["tenant"]) in called, done.spec.name
    expected = {
        "hybrid": set(),
        "litellm-vllm": {"eval-drift", "quota-exhausted"},
        "minimal": {"cloud-errors", "eval-drift", "exporter-gap", "gpu-and-cloud-errors", "gpu-exporter-down"}
        | {"gpu-saturated", "zone-violation", "price-mistake", "spend-anomaly", "tenant-runaway"},
    }
    if path.stem in expected:
        assert set(not_applicable) == expected[path.stem]
    assert all(len(reason.split()) > 3 for reason in not_applicable.values())


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("hybrid", set()),
        ("litellm-vllm", {"Drift"}),
        # Its cloud is only called when its local server fails, and has all its prices; its one zone leaves out no region.
        ("minimal", {"CloudErrorRateHigh", "Drift", "TenantBudgetForecast", "TenantSpendHigh", "TotalSpendAnomaly", "ZoneViolation"}),
        ("starter", {"Drift", "LocalQueueGrowing", "ZoneViolation"}),
        # What calls are is known of its log alone, and no evals are scored.
        ("otel-sglang", {"Drift"}),
    ],
)  # fmt: skip
def test_every_alarm_has_a_drill_that_applies_but_where_nothing_can_set_it_off(name: str, without: set[str]) -> None:
    loaded = load_catalog(HYBRID.with_name(f"{name}.yaml"))
    alarms = alarms_of(loaded)
    casts = cast_drills(drill_files().values(), loaded, alarms)
    proven = {alarm for done in casts if done.not_applicable is None for alarm in done.spec.alarms}
    assert {alarm.alarm for alarm in alarms.alarms} - proven == without | {"Watchdog"}


def test_a_sandbox_has_the_same_room_beside_the_ordinary_load_of_any_estate() -> None:
    document = parse_document(yaml.safe_dump(SHORT | {"sandbox": {"local_room": 60, "tenant_room": 45}, "load": {"arrivals_per_second": 80}}, sort_keys=False), "drill.yaml")  # fmt: skip
    spec = load_model(document, DrillSpec)
    rooms = {}
    for path in CATALOGS:
        done = cast(load_catalog(path), spec, document).spec.sandbox
        rooms[path.stem] = (done.local_concurrency, done.tenant_calls_per_10s)
        assert done.quota_of in load_catalog(path).catalog.tenants
    # Calls per second there beside 60, times their mean time, over the servers; and those of the tenant there beside 45, in ten seconds.
    asked = 80 * (1 - 0.05 * 0.7)  # the rest is answered from the cache
    assert rooms["hybrid"] == (round((asked * 2 / 11 + 60) * 0.3211 / 2), round(10 * (asked * 6 / 11 / 5 + 45)))
    assert done.local_room is done.tenant_room is None  # said by numbers now: what `drill init` writes can be changed
    assert rooms["minimal"] == (round((asked + 60) * 0.4371 / 1), round(10 * (asked + 45)))


def test_names_take_the_place_of_roles(hybrid: LoadedCatalog) -> None:
    done = short(
        hybrid,
        owner="$catalog",
        faults=[FAULT | {"target": {"provider": "$other.provider", "region": "$other.region"}}],
        expect=[EXPECT | {"labels": {"provider": "$other.provider"}, "severity": "$catalog", "receiver": "$catalog"}],
    )
    assert done.spec.faults[0].target == {"provider": "openai", "region": "ap-south-1"}
    assert done.spec.expect[0].labels == {"provider": "openai"}
    assert (done.spec.owner, done.spec.expect[0].severity, done.spec.expect[0].receiver) == (
        "platform",
        "page",
        "platform-pager",
    )
    assert done.played == {
        "other": {"provider": "openai", "model": "gpt-5-mini", "region": "ap-south-1", "alias": "chat"}
    }


def test_severity_and_receiver_are_those_that_the_catalog_gives_such_an_alert(changed_hybrid: Change) -> None:
    def change(content: dict[str, Any]) -> None:
        content["alarms"]["ProviderDown"] = {"overrides": [{"provider": "vllm", "severity": "trend"}]}
        content["owners"]["content-ai"]["page"] = "content-ai-channel"
        content["providers"]["openai"]["owner"] = "content-ai"

    loaded = changed_hybrid(change)
    by_catalog = {"severity": "$catalog", "receiver": "$catalog"}

    def told(provider: str) -> tuple[str, str | None, str | None]:
        expected = short(loaded, expect=[EXPECT | by_catalog | {"labels": {"provider": provider}}]).spec.expect[0]
        return expected.severity, expected.receiver, expected.notified_within

    assert told("anthropic") == ("page", "platform-pager", EXPECT["notified_within"])
    assert told("openai") == ("page", "content-ai-channel", EXPECT["notified_within"])
    assert told("vllm") == ("trend", None, None)  # `dashboards` notifies nobody


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("$clod.provider", "unknown role '$clod.provider'; did you mean '$cloud.provider'?"),
        ("$cloud.server", "unknown role '$cloud.server'"),
        ("$cloud", "unknown role '$cloud'"),
    ],
)
def test_a_role_that_does_not_exist_is_an_error_at_its_place(hybrid: LoadedCatalog, target: str, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        short(hybrid, faults=[FAULT | {"target": {"provider": target}}])
    (problem,) = error.value.problems
    assert said in str(problem)
    assert problem.location.line > 1


def test_two_dollars_are_one_of_a_name(hybrid: LoadedCatalog) -> None:
    done = short(hybrid, expect=[EXPECT | {"labels": {"provider": "$$cloud.provider"}}])
    assert done.spec.expect[0].labels == {"provider": "$cloud.provider"}


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        (["exporter"], None),
        (["tier:alias:eval_score:mean"], None),
        (["zoned"], "no tenant has a zone that leaves out a region of the catalog"),
    ],
)
def test_what_a_drill_needs(hybrid: LoadedCatalog, changed_hybrid: Change, needs: list[str], said: str | None) -> None:
    anywhere = changed_hybrid(lambda content: content["tenants"]["acme-corp"].update(zone="anywhere"))
    assert short(anywhere, needs=needs).not_applicable == said
    assert short(hybrid, needs=needs).not_applicable is None


def test_each_role_is_played_by_what_it_says_and_each_time_by_the_same(hybrid: LoadedCatalog) -> None:
    for role in ROLES.values():
        names = role.find(hybrid.catalog)
        assert not isinstance(names, str)
        assert set(names) == set(role.labels)
        assert role.find(hybrid.catalog) == names
    page = (HYBRID.parents[1] / "docs" / "drills.md").read_text(encoding="utf-8")
    for name, role in ROLES.items():
        assert f"| `{name}` | {role.summary} | {', '.join(role.labels)} |" in page


def test_a_drill_that_does_not_apply_is_refused_by_name_and_named_in_lists(run_tiercli: Run) -> None:
    minimal = str(HYBRID.with_name("minimal.yaml"))
    done = run_tiercli("drill", "run", "cloud-errors", "--catalog", minimal)
    assert done.returncode == 2
    assert "cloud-errors: no alias has its first candidate in the cloud" in done.stderr
    listed = json.loads(run_tiercli("drill", "list", "--catalog", minimal, "--format", "json").stdout)
    reasons = {row["name"]: row["not_applicable"] for row in listed}
    assert reasons["cloud-errors"] == "no alias has its first candidate in the cloud"
    assert reasons["provider-outage"] is None


def test_what_init_writes_can_be_run_and_is_never_overwritten(run_tiercli: Run, tmp_path: Path) -> None:
    path = HYBRID.with_name("litellm-vllm.yaml")
    done = run_tiercli("drill", "init", str(path), "--out", str(tmp_path / "drills"))
    assert done.returncode == 0, done.stderr
    assert "not applicable: eval-drift: no alias has an eval_baseline" in done.stderr
    loaded = load_catalog(path)
    alarms = load_alarm_set(loaded, timing_of(loaded.catalog))
    files = sorted((tmp_path / "drills").glob("*.yaml"))
    assert len(files) == len(drill_files()) - 2
    for file in files:
        assert "$" not in file.read_text(encoding="utf-8")
        spec, document = load_drill(file)
        assert check_spec(spec, loaded.catalog, alarms.alarms, document.locate) == []
    files[0].write_text("mine", encoding="utf-8")
    files[1].unlink()
    again = run_tiercli("drill", "init", str(path), "--out", str(tmp_path / "drills"))
    assert again.returncode == 2
    assert files[0].read_text(encoding="utf-8") == "mine"
    assert not files[1].exists()


def test_the_schema_accepts_every_drill(run_tiercli: Run) -> None:
    schema = json.loads(run_tiercli("drill", "schema").stdout)
    for file in drill_files().values():
        jsonschema.validate(yaml.safe_load(file.read_text(encoding="utf-8")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x"}, schema)


@pytest.mark.parametrize(
    ("name", "spoken"), [("minimal", "native, vllm"), ("litellm-vllm", "litellm, vllm, dcgm, audit")]
)
def test_a_sandbox_says_which_sources_the_simulation_speaks(stack: StackBinaries, name: str, spoken: str) -> None:
    sandbox = DrillSandbox(build_estate(load_catalog(HYBRID.with_name(f"{name}.yaml")), 30), stack)
    assert f"what {spoken} would expose is spoken by the simulation, after its documentation" in sandbox.limits()


AZURE: dict[str, Any] = {"sources": {"azure": {"binding": "azure-openai", "targets": ["azure.internal:8080"], "provider": "anthropic"}}}  # fmt: skip


def test_a_drill_does_not_apply_where_a_console_lacks_what_its_alarm_reads(changed_hybrid: Change) -> None:
    """Anthropic is the busiest provider; Azure's console in the gateway's place has its requests, and no latency."""
    loaded = changed_hybrid(lambda data: data.update(AZURE))
    casts = {done.spec.name: done for done in cast_drills(drill_files().values(), loaded, alarms_of(loaded))}
    why = casts["provider-degraded"].not_applicable
    assert why is not None
    assert why.startswith(
        "ProviderLatencyHigh has no tier:provider:latency_seconds:p95_5m of anthropic: azure-openai: "
    )
    assert casts["opening-incident"].not_applicable == why
    assert casts["provider-outage"].not_applicable is None


def test_a_console_that_is_there_for_other_signals_takes_no_drill_away(changed_hybrid: Change) -> None:
    def for_quota(data: dict[str, Any]) -> None:
        source = {**AZURE["sources"]["azure"], "signals": ["tier:provider:quota_headroom"]}
        data["sources"]["azure"] = source

    loaded = changed_hybrid(for_quota)
    casts = {done.spec.name: done for done in cast_drills(drill_files().values(), loaded, alarms_of(loaded))}
    assert casts["provider-degraded"].not_applicable is None


def two_exporters(data: dict[str, Any], *hosts: str) -> None:
    first, second = hosts or ("vllm-b", "vllm-a")
    data["sources"] = {
        "one": {"binding": "dcgm", "targets": [f"{first}.internal:9400"]},
        "two": {"binding": "tiercli-gpu", "targets": [f"{second}.internal:9400"]},
    }
    for provider in data["providers"].values():
        for name, server in provider.get("servers", {}).items():
            server["metrics"] = f"{name}.internal:8000"


def test_a_server_goes_with_the_exporter_on_its_own_host(changed_hybrid: Change) -> None:
    loaded = changed_hybrid(two_exporters)
    assert ROLES["exporter"].find(loaded.catalog) == {"server": "vllm-a", "job": "tiercli-source-two"}
    assert exporters_of(loaded.catalog) == {"one": [("vllm", "vllm-b")], "two": [("vllm", "vllm-a")]}
    # So it is in a sandbox, whose addresses are others.
    simulated = build_estate(loaded, 30).loaded.catalog
    assert exporters_of(simulated) == exporters_of(loaded.catalog)
    assert [len(source.targets) for source in simulated.sources.values()] == [1, 1]


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (("vllm-a", "cluster"), {"one": [("vllm", "vllm-a")], "two": [("vllm", "vllm-b")]}),
        (("cluster", "cluster"), {"one": [("vllm", "vllm-a"), ("vllm", "vllm-b")], "two": [("vllm", "vllm-a"), ("vllm", "vllm-b")]}),
    ],
)  # fmt: skip
def test_an_exporter_at_an_address_of_a_cluster_has_the_servers_that_no_other_has(
    changed_hybrid: Change, hosts: tuple[str, str], found: dict[str, list[tuple[str, str]]]
) -> None:
    assert exporters_of(changed_hybrid(lambda data: two_exporters(data, *hosts)).catalog) == found


def test_an_exporter_of_no_gpus_is_not_scraped_in_a_sandbox(changed_hybrid: Change) -> None:
    def on_cpus(data: dict[str, Any]) -> None:
        for provider in data["providers"].values():
            for server in provider.get("servers", {}).values():
                server["gpus"] = 0

    loaded = changed_hybrid(on_cpus)
    assert loaded.catalog.sources
    assert build_estate(loaded, 30).loaded.catalog.sources == {}


def test_a_setting_can_be_a_multiple_of_what_is_typical(hybrid: LoadedCatalog) -> None:
    slower = {"fault": "latency", "settings": {"p50_seconds": "$busiest.p95_seconds * 1.5", "p95_seconds": 2.0}}
    done = short(hybrid, faults=[FAULT | slower])
    assert done.spec.faults[0].settings == {"p50_seconds": pytest.approx(0.70 * 1.5), "p95_seconds": 2.0}
    assert "p95_seconds" not in done.played["busiest"]  # a number is nobody's name
    for wrong in ("$busiest.p95_seconds * much", "$busiest.provider * 2", "$nobody.p95_seconds * 2"):
        slower["settings"] = {"p50_seconds": wrong, "p95_seconds": 2.0}
        with pytest.raises(InvalidInput):
            short(hybrid, faults=[FAULT | slower])


def test_an_attempt_may_take_what_is_typical_and_more(changed_hybrid: Change, tmp_path: Path) -> None:
    def timeout_of(change: Callable[[dict[str, Any]], Any]) -> float:
        catalog = changed_hybrid(change).catalog
        return plan_estate(catalog, folder=tmp_path, allocate=lambda: 1, token_file=tmp_path / "t").gateway_timeout_s

    def slow(seconds: float) -> Callable[[dict[str, Any]], Any]:
        region = {"typical": {"p50_seconds": seconds / 2, "p95_seconds": seconds}}
        return lambda data: data["providers"]["anthropic"]["regions"].update({"ap-south-1": region})

    assert timeout_of(lambda data: None) == pytest.approx(4 * 1.10)  # of anthropic in us-east-1
    assert timeout_of(slow(3)) == 12
    assert timeout_of(slow(20)) == 25  # less than the load waits
    assert timeout_of(lambda data: data["gateway"].update(timeout_seconds=7)) == 7
