"""What the bundled drills are in real time: long enough to end, loaded as in the sandbox by the window, bounded in cost."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.conftest import HYBRID
from tests.drills.short_drill import short_spec
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.drills.load.cost import Spending, cost_per_call
from tiercli.drills.load.locust import Workers, locust_with_workers
from tiercli.drills.load.running import first_call_within_s
from tiercli.drills.record.events import LoadWindow
from tiercli.drills.sites.live_plan import LivePlan, plan_live, surges
from tiercli.drills.sites.surge import shortfall, surge_load
from tiercli.drills.spec.files import drill_files, load_drill
from tiercli.drills.spec.model import DrillSpec, FaultUse, Load
from tiercli.durations import parse_duration
from tiercli.errors import InvalidInput
from tiercli.sidecar.supervisor import ProcessSpec

DRILLS = {name: load_drill(path)[0] for name, path in drill_files().items()}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedCatalog:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    there = {"url": "http://127.0.0.1:1"}
    data["environments"] = {"real": {"gateway": there, "prometheus": there, "alertmanager": there}}
    file = tmp_path_factory.mktemp("real") / "catalog.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return load_catalog(file)


def planned(loaded: LoadedCatalog, spec: DrillSpec, rate: float | None = None) -> LivePlan:
    return plan_live(loaded, "real", spec, cap_usd=1e6, rate=rate)


@pytest.mark.parametrize("name", DRILLS)
def test_a_bundled_drill_may_last_as_long_as_its_phases(loaded: LoadedCatalog, name: str) -> None:
    plan = planned(loaded, DRILLS[name])
    phases = plan.spec.phases
    lengths = (phases.steady, phases.fault, phases.recovery)
    assert parse_duration(plan.spec.abort.wall_clock) > sum(parse_duration(one) for one in lengths if one)
    assert plan.seconds > sum(parse_duration(one) for one in lengths if one)


@pytest.mark.parametrize("name", ["quota-exhausted", "tenant-runaway", "local-queue"])
def test_loads_that_are_faults_are_scaled_as_the_load_is(loaded: LoadedCatalog, name: str) -> None:
    drill, plan = DRILLS[name], planned(loaded, DRILLS[name])
    share = plan.spec.load.arrivals_per_second / drill.load.arrivals_per_second
    assert share == pytest.approx(1 / drill.factor)
    there, here = surges(plan.spec, 1)[0][0].settings, surges(drill, 1)[0][0].settings
    assert there["calls_per_second"] == pytest.approx(here["calls_per_second"] * share)
    slower = planned(loaded, drill, rate=plan.spec.load.arrivals_per_second / 2)
    assert slower.usd == pytest.approx(plan.usd / 2, rel=0.02)  # of a slower load the first call is waited for longer


def test_a_call_may_be_billed_by_every_candidate_that_was_tried(loaded: LoadedCatalog) -> None:
    load = Load(arrivals_per_second=1, prompt_tokens=100, max_tokens=50)
    claude = (100 * 2 * 3.75 + 50 * 15) / 1e6
    assert cost_per_call(load, loaded.catalog)["smart-reasoner"] == pytest.approx(2 * claude)


def test_calls_that_do_not_say_their_alias_are_counted_at_the_dearest() -> None:
    spending = Spending(cap_usd=1.0, per_call={"cheap": 0.01, "dear": 0.1})
    window = LoadWindow(at=1, seconds=1, started=9, succeeded=9, failed=0, by_alias={"cheap": 4})
    assert spending.add(window)
    assert spending.usd == pytest.approx(4 * 0.01 + 5 * 0.1)
    assert not spending.add(window)


def test_a_fault_that_is_a_load_needs_to_be_as_much_as_was_asked_for() -> None:
    steady = surge_load(
        FaultUse(fault="queue-build-up", target={"alias": "chat"}, settings={"calls_per_second": 400}), 10
    )
    assert shortfall(steady, 10, 1200) == "1200 of 4000 requests were started in 10 s"
    assert shortfall(steady, 10, 3300) == ""
    assert shortfall(steady, 0.5, 30) != ""
    assert shortfall(steady, 0, 0) == ""
    growing = surge_load(
        FaultUse(fault="queue-build-up", target={"alias": "chat"}, settings={"calls_per_second": 10, "grows_to": 100}),
        10,
    )
    assert shortfall(growing, 5, 120) == ""  # 10, 20, … 50 a second
    assert shortfall(growing, 10, 300) != ""


def test_a_cost_above_the_cap_is_refused(loaded: LoadedCatalog) -> None:
    with pytest.raises(InvalidInput) as refused:
        plan_live(loaded, "real", DRILLS["provider-outage"], cap_usd=0.01)
    assert "a drill in 'real' 0.01 USD" in str(refused.value.problems[0])


@pytest.mark.parametrize(("rate", "within_s"), [(80, 15), (2.7, 15), (0.1, 200)])
def test_the_first_call_of_a_small_load_is_waited_for(rate: float, within_s: float) -> None:
    assert first_call_within_s(Load(arrivals_per_second=rate)) == within_s


@pytest.mark.parametrize(
    ("host", "joined"), [("127.0.0.1", "127.0.0.1"), ("10.0.0.5", "10.0.0.5"), ("::", "127.0.0.1")]
)
def test_workers_of_this_machine_find_a_master_that_listens_elsewhere(tmp_path: Path, host: str, joined: str) -> None:
    master = ProcessSpec("locust", ("python", "-m", "locust", "--headless"), tmp_path / "log")
    first, worker = locust_with_workers(master, Workers(1, 2, host, 5557), 0, tmp_path / "log")
    assert first.argv[first.argv.index("--expect-workers") + 1] == "3"
    assert first.argv[first.argv.index("--master-bind-host") + 1] == host
    assert worker.argv[worker.argv.index("--master-host") + 1] == joined


@pytest.mark.parametrize(
    ("fault", "settings", "limit", "failing"),
    [
        ("outage", {}, 0.5, "55%"),
        ("outage", {}, 0.6, None),
        ("errors", {"share": 0.5, "status_codes": [500]}, 0.2, "27%"),
        ("errors", {"share": 0.5, "status_codes": [500]}, 0.3, None),
        ("latency", {"seconds": 1}, 0.01, None),
    ],
)
def test_without_a_gateway_a_drill_that_would_abort_itself_is_not_begun(
    tmp_path: Path, fault: str, settings: dict[str, object], limit: float, failing: str | None
) -> None:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    there = {"url": "http://127.0.0.1:1"}
    places = (("anthropic", "ap-south-1"), ("openai", "ap-south-1"), ("vllm", "mumbai-dc"))
    endpoints = [
        {"provider": provider, "region": region, "url": "http://127.0.0.1:9", "listen": f"127.0.0.1:{number}"}
        for number, (provider, region) in enumerate(places, 9001)
    ]
    data["environments"] = {"direct": {"endpoints": endpoints, "prometheus": there, "alertmanager": there}}
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")
    changes = {"faults": [{"fault": fault, "target": {"provider": "anthropic"}, "settings": settings}]}
    spec = short_spec(**changes, load={"arrivals_per_second": 60}, abort={"error_share": limit})
    loaded = load_catalog(file)
    if failing is None:
        assert plan_live(loaded, "direct", spec, cap_usd=1e6).gateway is None
        return
    with pytest.raises(InvalidInput, match="is not begun") as error:
        plan_live(loaded, "direct", spec, cap_usd=1e6)
    assert f"{failing} of the calls will fail, since nobody falls back" in str(error.value.problems[0])
