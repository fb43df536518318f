"""The faults of commands and hooks, as `tiercli catalog validate` judges them: each problem at its place in the catalog."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HYBRID, ROOT, Done
from tests.faults.environment.stands import MUMBAI, write_catalog

Run = Callable[..., Done]
ARGV = {"on": ["true"], "off": ["true"]}
CALL = {"on": {"url": "http://x/on"}, "off": {"url": "http://x/off"}}


def place_of(catalog: Path, text: str) -> str:
    """FILE:LINE of the last line that holds `text`."""
    lines = catalog.read_text().splitlines()
    return f"{catalog}:{max(number for number, line in enumerate(lines, 1) if text in line)}:"


@pytest.mark.parametrize(
    ("injectors", "said", "at"),
    [
        (
            {"commands": [{"fault": "gatway-down", **ARGV}]},
            "unknown fault 'gatway-down'; did you mean 'gateway-down'?",
            "gatway-down",
        ),
        ({"hooks": [{"fault": "nothing", **CALL}]}, "unknown fault 'nothing'", "nothing"),
        (
            {"commands": [{"fault": "outage", "target": {"provider": "antropic"}, **ARGV}]},
            "unknown provider 'antropic' in fault outage; did you mean 'anthropic'?",
            "antropic",
        ),
        (
            {"commands": [{"fault": "outage", "target": {"provider": "openai", "region": "us-east-1"}, **ARGV}]},
            "nothing in the catalog is provider=openai, region=us-east-1",
            "provider: openai",
        ),
        (
            {"commands": [{"fault": "gateway-down", "target": {"provider": "openai"}, **ARGV}]},
            "gateway-down: target has no label 'provider' (accepted: no target)",
            "provider: openai",
        ),
        (
            {"hooks": [{"fault": "outage", **CALL}]},
            "the fault outage has no target, and would be on everywhere",
            "fault: outage",
        ),
        (
            {"commands": [{"fault": "gateway-down", **ARGV}], "hooks": [{"fault": "gateway-down", **CALL}]},
            "gateway-down on the same target twice in environment 'staging': this one is never used",
            "fault: gateway-down",
        ),
    ],
)
def test_a_fault_that_no_drill_could_want_is_told_at_its_place(
    injectors: dict[str, Any], said: str, at: str, tmp_path: Path, run_tiercli: Run
) -> None:
    catalog = write_catalog(tmp_path, injectors)
    done = run_tiercli("catalog", "validate", str(catalog))
    assert done.returncode == 2
    line = next(line for line in (done.stdout + done.stderr).splitlines() if said in line)
    assert place_of(catalog, at) in line


def test_faults_that_drills_want_are_valid(tmp_path: Path, run_tiercli: Run) -> None:
    commands = [
        {"fault": "gateway-down", **ARGV},
        {"fault": "outage", "target": MUMBAI, **ARGV},
        {"fault": "errors", "target": MUMBAI, **ARGV},  # whose settings are the drill's
        {"fault": "scrape-failure", "target": {"scrape": "gpus"}, **ARGV},
        {"fault": "queue-build-up", "target": {"alias": "summariser"}, **ARGV},
    ]
    done = run_tiercli("catalog", "validate", str(write_catalog(tmp_path, {"commands": commands})))
    assert done.returncode == 0, done.stderr


def test_what_is_not_known_of_a_catalog_is_not_held_against_its_faults(tmp_path: Path, run_tiercli: Run) -> None:
    catalog = write_catalog(tmp_path, {"commands": [{"fault": "outage", "target": MUMBAI, **ARGV}]})
    catalog.write_text(catalog.read_text().replace("claude-sonnet-4-6: {}", "claude-sonnet-4-6: {no_such_key: 1}"))
    done = run_tiercli("catalog", "validate", str(catalog))
    assert done.returncode == 2
    assert "no_such_key" in done.stdout + done.stderr
    assert "in fault outage" not in done.stdout + done.stderr


def test_the_examples_of_the_page_are_valid(tmp_path: Path, run_tiercli: Run) -> None:
    page = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
    examples = [block for block in page.split("\n\n") if block.startswith("    environments:")]
    assert len(examples) == 2
    for example in examples:
        catalog = tmp_path / "catalog.yaml"
        catalog.write_text(HYBRID.read_text(encoding="utf-8") + textwrap.dedent(example) + "\n", encoding="utf-8")
        done = run_tiercli("catalog", "validate", str(catalog))
        assert done.returncode == 0, done.stdout + done.stderr
