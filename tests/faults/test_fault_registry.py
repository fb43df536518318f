"""The registry of faults: what it says of itself, and that the files, the registry and the page agree."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiercli.faults
from tiercli.faults import FAULTS, FAULTS_BY_NAME
from tiercli.faults.interface import ROUTE_LABELS
from tiercli.faults.latencies import Lognormal

FOLDER = Path(tiercli.faults.__file__).parent
# The modules of the folder that are no fault.
MACHINERY = {
    "__init__", "control", "control_api", "forwarding", "interface", "latencies", "leases", "listener", "proxy", "routes",
    "validation",
}  # fmt: skip


def test_every_fault_has_its_file_and_every_file_its_fault() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - MACHINERY
    assert files == {kind.name.replace("-", "_") for kind in FAULTS}


def test_names_are_unique() -> None:
    assert len(FAULTS_BY_NAME) == len(FAULTS)


def test_the_page_names_every_fault() -> None:
    page = (FOLDER.parent.parent / "docs" / "adding-a-fault.md").read_text()
    assert [kind.name for kind in FAULTS if f"`{kind.name}`" not in page] == []


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name)
def test_a_fault_of_the_proxy_can_be_made_and_any_other_names_its_injector(kind: Any) -> None:
    assert (kind.build is not None) == (kind.injector == "proxy")
    assert set(kind.target_labels) <= set(ROUTE_LABELS)
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
    code = "import sys, tiercli.faults.validation; sys.exit(bool({'aiohttp', 'httpx', 'uvloop'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
