"""The registry of faults: what it says of itself, and that the files, the registry and the page agree."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiercli.faults.kinds
from tiercli.faults.kinds import FAULTS, FAULTS_BY_NAME
from tiercli.faults.kinds.interface import CALL_LABELS, ROUTE_LABELS, SCRAPE_LABELS
from tiercli.faults.kinds.latencies import Lognormal

FOLDER = Path(tiercli.faults.kinds.__file__).parent
# The modules of the folder that are no fault.
MACHINERY = {"__init__", "check", "interface", "latencies", "rewriting", "surge"}


def test_every_fault_has_its_file_and_every_file_its_fault() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - MACHINERY
    assert files == {kind.name.replace("-", "_") for kind in FAULTS}


def test_names_are_unique() -> None:
    assert len(FAULTS_BY_NAME) == len(FAULTS)


def test_the_page_names_every_fault() -> None:
    page = (FOLDER.parent.parent.parent / "docs" / "adding-a-fault.md").read_text()
    assert [kind.name for kind in FAULTS if f"`{kind.name}`" not in page] == []


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name)
def test_a_fault_of_the_proxy_can_be_made_and_any_other_names_its_injector(kind: Any) -> None:
    assert (kind.build is not None) == (kind.injector == "proxy")
    assert set(kind.target_labels) <= {*ROUTE_LABELS, *SCRAPE_LABELS, *CALL_LABELS}
    assert kind.summary


@pytest.mark.parametrize(
    ("fault", "settings", "said"),
    [
        ("outage", {}, None),
        ("outage", {"mode": "reset"}, None),
        ("outage", {"mode": "gone"}, "mode"),
        ("outage", {"seconds": 1}, "unknown setting 'seconds' (accepted: mode)"),
        ("latency", {"seconds": 1}, None),
        ("latency", {"p50_seconds": 1.2, "p95_seconds": 1.8, "mode": "target"}, None),
        ("latency", {}, "give either seconds, or p50_seconds and p95_seconds"),
        ("latency", {"seconds": 1, "p50_seconds": 1, "p95_seconds": 2}, "give either"),
        ("latency", {"p50_seconds": 1}, "go together"),
        ("latency", {"p95_seconds": 1}, "go together"),
        ("latency", {"p50_seconds": 2, "p95_seconds": 1}, "are no distribution"),
        ("latency", {"seconds": -1}, "seconds"),
        ("latency", {"seconds": 0}, "seconds"),
        ("latency", {"seconds": float("nan")}, "seconds"),
        ("latency", {"seconds": float("inf")}, "seconds"),
        ("latency", {"seconds": "soon"}, "found 'soon'"),
        ("errors", {"share": 0.25, "status_codes": [500, 503]}, None),
        ("errors", {}, "share: Field required"),
        ("errors", {"share": 1.01}, "share"),
        ("errors", {"share": 1, "status_codes": []}, "status_codes"),
        ("errors", {"share": 1, "status_codes": [200]}, "status_codes"),
        ("gateway-down", {}, None),
        ("gateway-down", {"mode": "x"}, "no settings"),
        ("blackhole", {}, None),
        ("blackhole", {"seconds": 1}, "share"),
        ("slow-stream", {"first_token_seconds": 2}, None),
        ("slow-stream", {"first_token_seconds": 0, "piece_seconds": 0}, "nothing is slow"),
        ("slow-stream", {"piece_seconds": -1}, "piece_seconds"),
        ("truncated-stream", {"share": 0.5, "pieces": 0}, None),
        ("truncated-stream", {"pieces": -1}, "pieces"),
        ("throttle", {"share": 0.1, "retry_after_seconds": 20}, None),
        ("throttle", {"share": 0}, "share"),
        ("throttle", {"retry_after_seconds": -1}, "retry_after_seconds"),
        ("unclassified", {"share": 0.1, "status_code": 451}, None),
        ("unclassified", {"status_code": 500}, "status_code"),
        ("refusal-drift", {"share": 0.2}, None),
        ("refusal-drift", {"share": 2}, "share"),
        ("output-length-drift", {"factor": 0.5}, None),
        ("output-length-drift", {"factor": 0}, "factor"),
        ("scrape-failure", {"mode": "error"}, None),
        ("scrape-failure", {"mode": "slow"}, "mode"),
        ("replica-down", {"instances": 2}, None),
        ("replica-down", {"instances": 0}, "instances"),
        ("gpu-saturation", {"calls_per_second": 60}, None),
        ("gpu-saturation", {}, "calls_per_second: Field required"),
        ("queue-build-up", {"calls_per_second": 30, "grows_to": 150}, None),
        ("queue-build-up", {"calls_per_second": 30, "grows_to": -1}, "grows_to"),
        ("quota-exhaustion", {"calls_per_second": float("inf")}, "calls_per_second"),
        ("cost-runaway", {"calls_per_second": 40, "prompt_tokens": 3000}, None),
        ("cost-runaway", {"calls_per_second": 40, "prompt_tokens": 0}, "prompt_tokens"),
        ("audit-silence", {}, None),
        ("audit-silence", {"share": 1}, "no settings"),
        ("audit-loss", {"share": 0.05}, None),
        ("audit-loss", {"share": 1.5}, "share"),
        ("eval-drift", {"score": 0.7}, None),
        ("eval-drift", {}, "score: Field required"),
        ("eval-drift", {"score": 1.1}, "score"),
        ("price-change", {"factor": 1000}, None),
        ("price-change", {"factor": 0}, "factor"),
    ],
    ids=str,
)
def test_settings_are_checked(fault: str, settings: dict[str, Any], said: str | None) -> None:
    problems = FAULTS_BY_NAME[fault].check_settings(settings)
    if said is None:
        assert problems == []
    else:
        assert any(said in problem for problem in problems), problems


def test_a_lognormal_has_the_median_and_the_95th_percentile_it_was_given() -> None:
    source = random.Random(1)
    drawn = statistics.quantiles((Lognormal(1.2, 1.8).draw(source) for _ in range(20_000)), n=20)
    assert drawn[9] == pytest.approx(1.2, rel=0.02)
    assert drawn[18] == pytest.approx(1.8, rel=0.02)


@pytest.mark.parametrize(("p50", "p95"), [(0, 1), (-1, 1), (2, 1), (1, float("inf")), (float("nan"), 1)])
def test_a_distribution_that_is_none_is_refused(p50: float, p95: float) -> None:
    with pytest.raises(ValueError, match="no distribution"):
        Lognormal(p50, p95)


def test_checking_a_drill_needs_no_http_library() -> None:
    code = "import sys, tiercli.faults.kinds.check; sys.exit(bool({'aiohttp', 'httpx', 'uvloop'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
